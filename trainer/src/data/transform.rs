//! Size and color of a data set that was loaded as it is.

use latent_files::pictures::{Picture, PictureError, check_size, luma};
use rayon::prelude::*;

use super::{DataError, Dataset, LoadOptions, MAX_BYTES};

/// Applies `resize` and `gray`.
pub(super) fn apply(mut data: Dataset, options: &LoadOptions) -> Result<Dataset, DataError> {
    if options.gray && data.channels == 3 {
        let plane = data.height * data.width;
        let mut gray = vec![0; data.len() * plane];
        gray.par_chunks_exact_mut(plane).zip(data.pixels.par_chunks_exact(3 * plane)).for_each(
            |(out, image)| {
                let (r, rest) = image.split_at(plane);
                let (g, b) = rest.split_at(plane);
                for (i, value) in out.iter_mut().enumerate() {
                    *value = luma(r[i], g[i], b[i]);
                }
            },
        );
        data.pixels = gray;
        data.channels = 1;
    }
    if let Some((height, width)) = options.resize
        && (height, width) != (data.height, data.width)
    {
        check_size(height, width)?;
        let bytes = (data.len() * data.channels) as u64 * (height * width) as u64;
        if bytes > MAX_BYTES {
            return Err(DataError::TooLarge { file: data.source, bytes, limit: MAX_BYTES });
        }
        let (from_height, from_width) = (data.height, data.width);
        let to = height * width;
        let mut resized = vec![0; data.len() * data.channels * to];
        // Planes are independent: each one is a gray image.
        let planes = data.pixels.par_chunks_exact(from_height * from_width);
        resized.par_chunks_exact_mut(to).zip(planes).try_for_each(|(out, plane)| {
            let image =
                Picture { width: from_width, height: from_height, channels: 1, pixels: plane.to_vec() };
            out.copy_from_slice(&image.fit(height, width)?.pixels);
            Ok::<(), PictureError>(())
        })?;
        data.pixels = resized;
        (data.height, data.width) = (height, width);
    }
    Ok(data)
}
