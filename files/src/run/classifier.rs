//! `run.json` of a classifier's run. Generated images are judged by its features.

use serde::{Deserialize, Serialize};

use super::describe::{Description, RunOptions, training};
use super::layers::check_layers;
use super::{Classes, Conv, Data, Finding, Image, Layer, Progress, RunKind};

/// Configuration and status of a classifier's run; `O` is the trainer's options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassifierRun<O = serde_json::Value> {
    /// [`FORMAT`](super::FORMAT).
    pub format: u32,
    /// [`RunKind::Classifier`].
    pub kind: RunKind,
    /// `classifier`.
    pub command: String,
    /// Version of the trainer.
    pub latent_version: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// The seed of everything random.
    pub seed: u64,
    /// From images to a raw score for each class. What enters the last layer, a linear one, are the features.
    pub layers: Vec<Layer>,
    /// The classes, in the order of the scores.
    pub classes: Classes,
    /// Its input.
    pub image: Image,
    /// `cross-entropy`.
    pub loss: String,
    /// What was trained on.
    pub data: Data,
    /// Every option.
    pub hyperparameters: O,
    /// How far the run is.
    pub progress: Progress,
    /// What came out.
    pub figures: ClassifierFigures,
    /// What is wrong with it.
    pub diagnosis: Vec<Finding>,
    /// One line that sums the diagnosis up.
    pub verdict: String,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ClassifierFigures {
    /// The loss, mean over the last 100 iterations.
    pub loss: Option<f64>,
    /// ln(classes), the loss of guessing.
    pub guessing: f64,
    /// Part of the test images that are classified rightly, as last measured.
    pub test_accuracy: Option<f64>,
    /// How many test images there are.
    pub test_images: usize,
    /// Learned values.
    pub parameters: u64,
    /// Speed of the last session.
    pub iterations_per_second: Option<f64>,
}

/// Values that enter the last layer.
const FEATURES: usize = 64;

/// The layers of a small convolutional classifier: two pairs of 3x3 convolutions with BatchNorm and ReLU, each followed by a
/// 2x2 maximum, and two linear layers. `image` is channels, height, width.
///
/// # Errors
/// When images are smaller than 16x16.
pub fn classifier_layers(
    [channels, height, width]: [usize; 3],
    classes: usize,
) -> Result<Vec<Layer>, String> {
    if height < 16 || width < 16 {
        return Err(format!(
            "images are {height}x{width}; the classifier takes 16x16 and more, so bring them to that with --image-size"
        ));
    }
    let mut layers = Vec::new();
    let mut inputs = channels;
    for (at, outputs) in [16, 32, 64, 64].into_iter().enumerate() {
        layers.push(Layer::Conv2d(Conv { inputs, outputs, kernel: 3, stride: 1, padding: 0, bias: true }));
        layers.extend([Layer::BatchNorm { features: outputs }, Layer::Relu]);
        if at % 2 == 1 {
            layers.push(Layer::MaxPool2d { kernel: 2 });
        }
        inputs = outputs;
    }
    // Two convolutions take two pixels each, the maximum half of the rest; twice.
    let after = |side: usize| ((side - 4) / 2 - 4) / 2;
    let flat = inputs * after(height) * after(width);
    layers.extend([
        Layer::Flatten,
        Layer::Linear { inputs: flat, outputs: FEATURES, bias: true },
        Layer::Relu,
        Layer::Linear { inputs: FEATURES, outputs: classes, bias: true },
    ]);
    Ok(layers)
}

/// Checks that layers fit each other, the images and the classes.
///
/// # Errors
/// Which do not, and what was expected.
pub fn check_classifier(layers: &[Layer], classes: &Classes, image: &Image) -> Result<(), String> {
    image.check()?;
    classes.check()?;
    let output = check_layers("the classifier", layers, &[image.channels, image.height, image.width])?;
    match layers.last() {
        Some(Layer::Linear { .. }) if output == [classes.count] => Ok(()),
        _ => Err(format!(
            "the classifier gives {output:?}, expected a linear layer of {} scores at its end",
            classes.count
        )),
    }
}

impl<O: RunOptions> Description for ClassifierRun<O> {
    const KIND: RunKind = RunKind::Classifier;

    fn check(&self) -> Result<(), String> {
        check_classifier(&self.layers, &self.classes, &self.image)?;
        self.hyperparameters.check()
    }

    training!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_fit_images_of_any_size() {
        for image in [[1, 28, 28], [3, 32, 32], [1, 16, 40], [1, 17, 19]] {
            let layers = classifier_layers(image, 7).unwrap();
            assert_eq!(check_layers("net", &layers, &image).unwrap(), [7], "{image:?}");
            let features = check_layers("net", &layers[..layers.len() - 1], &image).unwrap();
            assert_eq!(features, [FEATURES]);
        }
        let error = classifier_layers([1, 15, 28], 10).unwrap_err();
        assert!(error.contains("15x28") && error.contains("--image-size"), "{error}");
    }
}
