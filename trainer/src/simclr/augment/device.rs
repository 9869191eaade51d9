//! Views on tensors, a whole batch at once: for a GPU.

use tch::{Device, Kind, TchError, Tensor};

use super::plain::{scales, upload_pixels};
use super::steps::GRAY;
use super::{AugmentError, AugmentSettings, JitterStep, Normalization, ViewParameters};
use crate::data::Dataset;

/// Makes views of a data set that lies on the device as bytes.
///
/// A step of which each image has its own parameters is one operation over the whole batch. The resize is two products with
/// matrices of interpolation weights. The three steps that blend differ only by what is blended in, so that each of the three
/// places in an image's order is one blend; the hue is shifted for a part of the batch before the first, between and after
/// them, as each image's order says.
#[derive(Debug)]
pub struct DeviceRenderer {
    pixels: Tensor,
    size: i64,
    mean: Tensor,
    inverse: Tensor,
    gray: Tensor,
}

/// Values that are uploaded for each view.
const FIELDS: usize = 16;
/// Where the three blends' values (factor, share of the gray image, share of its mean) begin.
const BLENDS: i64 = 5;
/// Where the shift of the hue is.
const HUE: i64 = 14;
/// Where it is said whether the view is gray.
const GRAYSCALE: i64 = 15;

impl DeviceRenderer {
    /// Puts the images on the device.
    ///
    /// # Errors
    /// [`AugmentError`] if the images have no three channels, a setting is out of range, or libtorch fails.
    pub fn new(
        data: &Dataset,
        settings: &AugmentSettings,
        by: Normalization,
        device: Device,
    ) -> Result<Self, AugmentError> {
        settings.validate()?;
        by.validate()?;
        if data.channels != 3 {
            return Err(AugmentError::Channels { name: data.name.clone(), found: data.channels });
        }
        let [mean, inverse] = scales(&by, device)?;
        let gray = Tensor::f_from_slice(&GRAY)?.f_view([1i64, 3, 1, 1])?.f_to_device(device)?;
        Ok(Self { pixels: upload_pixels(data, device)?, size: settings.size as i64, mean, inverse, gray })
    }

    /// Makes one view of each of these images, with the parameters beside it: (N, 3, size, size), normalized.
    ///
    /// # Errors
    /// [`AugmentError::Index`] if there is no such image, [`AugmentError::Buffer`] if the lists have different lengths,
    /// [`AugmentError::Torch`] if libtorch fails.
    pub fn render(&self, images: &[u32], parameters: &[ViewParameters]) -> Result<Tensor, AugmentError> {
        let count = self.pixels.size()[0];
        if let Some(index) = images.iter().find(|image| i64::from(**image) >= count) {
            return Err(AugmentError::Index { index: *index, count: count as usize });
        }
        if images.len() != parameters.len() {
            return Err(AugmentError::Buffer { found: parameters.len(), expected: images.len() });
        }
        Ok(tch::no_grad(|| self.rendered(images, parameters))?)
    }

    fn rendered(&self, images: &[u32], parameters: &[ViewParameters]) -> Result<Tensor, TchError> {
        let device = self.pixels.device();
        let n = images.len() as i64;
        let (fields, hues) = fields(parameters);
        let fields = upload(&Tensor::f_from_slice(&fields)?, device)?.f_view([n, FIELDS as i64])?;
        // One upload for all lists of images.
        let mut lists: Vec<i64> = images.iter().map(|image| i64::from(*image)).collect();
        lists.extend(hues.iter().flatten());
        let lists = upload(&Tensor::f_from_slice(&lists)?, device)?;

        let bytes = self.pixels.f_index_select(0, &lists.f_narrow(0, 0, n)?)?;
        let mut x = self.resized(&bytes.f_to_kind(Kind::Float)?, &fields)?;
        let mut start = n;
        for (place, list) in hues.iter().enumerate() {
            if !list.is_empty() {
                let list = lists.f_narrow(0, start, list.len() as i64)?;
                let shifts = column(&fields, HUE)?.f_index_select(0, &list)?;
                let turned = hue(&x.f_index_select(0, &list)?, &shifts)?;
                x = x.f_index_copy(0, &list, &turned)?;
            }
            start += list.len() as i64;
            if place < 3 {
                x = self.blended(&x, &fields, BLENDS + 3 * place as i64)?;
            }
        }
        let x = self.gray(&x)?.f_where_self(&column(&fields, GRAYSCALE)?.f_gt(0.5)?, &x)?;
        x.f_sub(&self.mean)?.f_mul(&self.inverse)
    }

    /// The parts that are shown, values 0 to 1, from images (N, 3, H, W) of values 0 to 255.
    fn resized(&self, images: &Tensor, fields: &Tensor) -> Result<Tensor, TchError> {
        let (_, _, height, width) = images.size4()?;
        let field = |index: i64| fields.f_narrow(1, index, 1)?.f_unsqueeze(-1);
        let none = field(0)?.f_zeros_like()?;
        let down = interpolation(&field(0)?, &field(2)?, &none, height, self.size)?;
        let across = interpolation(&field(1)?, &field(3)?, &field(4)?, width, self.size)?;
        let down = down.f_div_scalar(255.0)?.f_unsqueeze(1)?;
        let across = across.f_transpose(1, 2)?.f_unsqueeze(1)?;
        // Rounding may leave the range by one step.
        down.f_matmul(images)?.f_matmul(&across)?.f_clamp(0.0, 1.0)
    }

    /// The gray image (N, 1, S, S).
    fn gray(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_mul(&self.gray)?.f_sum_dim_intlist(1i64, true, Kind::Float)
    }

    /// `factor x + (1 - factor) (a gray + b mean of gray)`, clamped.
    fn blended(&self, x: &Tensor, fields: &Tensor, at: i64) -> Result<Tensor, TchError> {
        let (factor, a, b) = (column(fields, at)?, column(fields, at + 1)?, column(fields, at + 2)?);
        let gray = self.gray(x)?;
        let mean = gray.f_mean_dim(&[2i64, 3][..], true, Kind::Float)?;
        let with = gray.f_mul(&a)?.f_add(&mean.f_mul(&b)?)?;
        let rest = with.f_mul(&factor.f_rsub_scalar(1.0)?)?;
        x.f_mul(&factor)?.f_add(&rest)?.f_clamp(0.0, 1.0)
    }
}

/// The values of each view, [`FIELDS`] of them, and the views whose hue is shifted before the first, second, third blend, and
/// after it.
fn fields(parameters: &[ViewParameters]) -> (Vec<f32>, [Vec<i64>; 4]) {
    let mut fields = Vec::with_capacity(parameters.len() * FIELDS);
    let mut hues: [Vec<i64>; 4] = Default::default();
    for (view, p) in parameters.iter().enumerate() {
        let crop = [p.crop.top, p.crop.left, p.crop.height, p.crop.width];
        fields.extend(crop.map(|pixels| pixels as f32));
        fields.push(f32::from(u8::from(p.flip)));
        let mut blends = 0;
        if let Some(jitter) = &p.jitter {
            for step in jitter.order {
                let (factor, gray, mean) = match step {
                    JitterStep::Brightness => (jitter.brightness, 0.0, 0.0),
                    JitterStep::Contrast => (jitter.contrast, 0.0, 1.0),
                    JitterStep::Saturation => (jitter.saturation, 1.0, 0.0),
                    JitterStep::Hue => {
                        hues[blends].push(view as i64);
                        continue;
                    }
                };
                fields.extend([factor, gray, mean]);
                blends += 1;
            }
        }
        for _ in blends..3 {
            fields.extend([1.0, 0.0, 0.0]);
        }
        fields.push(p.jitter.map_or(0.0, |jitter| jitter.hue));
        fields.push(f32::from(u8::from(p.grayscale)));
    }
    (fields, hues)
}

/// A field of each view, to be spread over its values: (N, 1, 1, 1).
fn column(fields: &Tensor, index: i64) -> Result<Tensor, TchError> {
    fields.f_narrow(1, index, 1)?.f_unsqueeze(-1)?.f_unsqueeze(-1)
}

/// The weights with which each of the `from` values of a line counts in each of the `to` values of the resized part of it,
/// (N, to, from). The part's start, its length, and whether it is reversed (1) or not (0) are (N, 1, 1).
fn interpolation(
    start: &Tensor,
    length: &Tensor,
    reversed: &Tensor,
    from: i64,
    to: i64,
) -> Result<Tensor, TchError> {
    let options = (Kind::Float, start.device());
    let scale = length.f_div_scalar(to as f64)?;
    let i = Tensor::f_arange(to, options)?.f_view([1, to, 1])?;
    // i, or to - 1 - i.
    let mirrored = i.f_mul_scalar(-2.0)?.f_add_scalar((to - 1) as f64)?;
    let i = i.f_add(&reversed.f_mul(&mirrored)?)?;
    let center = i.f_add_scalar(0.5)?.f_mul(&scale)?;
    let source = Tensor::f_arange(from, options)?.f_view([1, 1, from])?.f_sub(start)?;
    let distance = source.f_add_scalar(0.5)?.f_sub(&center)?.f_abs()?.f_div(&scale.f_clamp_min(1.0)?)?;
    let inside = source.f_ge(0.0)?.f_logical_and(&source.f_lt_tensor(length)?)?;
    let weight = distance.f_rsub_scalar(1.0)?.f_clamp_min(0.0)?.f_mul(&inside)?;
    weight.f_div(&weight.f_sum_dim_intlist(-1i64, true, Kind::Float)?)
}

/// Shifts the hue of images (N, 3, S, S) by parts of the circle (N, 1, 1, 1). See [`steps::hue`](super::steps::hue).
fn hue(x: &Tensor, shift: &Tensor) -> Result<Tensor, TchError> {
    let (r, g, b) = (x.f_narrow(1, 0, 1)?, x.f_narrow(1, 1, 1)?, x.f_narrow(1, 2, 1)?);
    let largest = x.f_amax(1i64, true)?;
    let chroma = largest.f_sub(&x.f_amin(1i64, true)?)?;
    let divisor = chroma.f_add(&chroma.f_eq(0.0)?.f_to_kind(Kind::Float)?)?;
    let at = |a: &Tensor, b: &Tensor, corner: f64| a.f_sub(b)?.f_div(&divisor)?.f_add_scalar(corner);
    let h = at(&b, &r, 2.0)?.f_where_self(&g.f_eq_tensor(&largest)?, &at(&r, &g, 4.0)?)?;
    let h = at(&g, &b, 0.0)?.f_where_self(&r.f_eq_tensor(&largest)?, &h)?;
    let h = h.f_add(&shift.f_mul_scalar(6.0)?)?.f_remainder(6.0)?;
    let distance = |corner: f64| h.f_sub_scalar(corner)?.f_abs();
    // What is missing of each color: 1 - share.
    let missing = Tensor::f_cat(
        &[
            distance(3.0)?.f_rsub_scalar(2.0)?,
            distance(2.0)?.f_sub_scalar(1.0)?,
            distance(4.0)?.f_sub_scalar(1.0)?,
        ],
        1,
    )?;
    largest.f_sub(&chroma.f_mul(&missing.f_clamp(0.0, 1.0)?)?)
}

/// Brings a tensor to the device.
fn upload(tensor: &Tensor, device: Device) -> Result<Tensor, TchError> {
    if device == Device::Cpu {
        return Ok(tensor.shallow_clone());
    }
    // From pinned memory the copy runs beside the kernels; libtorch frees it when the copy is done.
    tensor.f_pin_memory(device)?.f_to_device_(device, tensor.kind(), true, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataSpec, LoadOptions, Split};
    use crate::simclr::augment::Renderer;

    #[test]
    fn views_are_those_of_the_cpu() {
        let spec: DataSpec = "synth-objects:60".parse().unwrap();
        let square = spec.load(Split::Train, &LoadOptions::default()).unwrap();
        let large = spec
            .load(Split::Train, &LoadOptions { resize: Some((50, 90)), ..LoadOptions::default() })
            .unwrap();
        let always = AugmentSettings { jitter: 1.0, hue: 0.5, ..AugmentSettings::REFERENCE };
        let cases = [
            ("reference", &square, AugmentSettings::REFERENCE),
            ("always jitter", &square, always),
            ("never", &square, AugmentSettings { jitter: 0.0, grayscale: 0.0, ..always }),
            ("shrunk", &large, AugmentSettings { size: 24, ..AugmentSettings::MODERN }),
        ];
        for (name, data, settings) in cases {
            let renderer = Renderer::new(data, settings, Normalization::CIFAR10).unwrap();
            let images: Vec<u32> = (0..60).collect();
            let mut expected = vec![0f32; 120 * renderer.view_len()];
            renderer.pairs(3, 4, &images, &mut expected).unwrap();

            let device = DeviceRenderer::new(data, &settings, Normalization::CIFAR10, Device::Cpu).unwrap();
            let twice = [&images[..], &images[..]].concat();
            let found = device.render(&twice, &renderer.draw(3, 4, &images)).unwrap();
            let side = settings.size as i64;
            assert_eq!(found.size(), [120, 3, side, side]);
            let found = Vec::<f32>::try_from(found.reshape(-1)).unwrap();
            let furthest = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // In units of a standard deviation, a fifth of the range.
            assert!(furthest < 1e-4, "{name}: {furthest}");
        }
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        let spec: DataSpec = "synth-objects:2".parse().unwrap();
        let data = spec.load(Split::Train, &LoadOptions::default()).unwrap();
        let settings = AugmentSettings::REFERENCE;
        let device = DeviceRenderer::new(&data, &settings, Normalization::NONE, Device::Cpu).unwrap();
        let whole = ViewParameters::whole(32, 32);
        let error = device.render(&[0, 2], &[whole, whole]).unwrap_err();
        assert!(matches!(error, AugmentError::Index { index: 2, count: 2 }), "{error}");
        assert!(matches!(device.render(&[0], &[whole, whole]), Err(AugmentError::Buffer { .. })));
        let gray = Dataset { channels: 1, ..data };
        let error = DeviceRenderer::new(&gray, &settings, Normalization::NONE, Device::Cpu).unwrap_err();
        assert!(matches!(error, AugmentError::Channels { .. }), "{error}");
    }
}
