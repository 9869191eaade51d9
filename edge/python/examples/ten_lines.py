import sys

import latent
from PIL import Image

model_path, picture_path = sys.argv[1:]
model = latent.open(model_path)
latents = model.sample(1, seed=7)
images = model.run(latents)
pixels = model.to_pixels(images)
Image.fromarray(pixels[0]).save(picture_path)
