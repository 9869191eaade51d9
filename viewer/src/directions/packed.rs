//! The first layer's weights of a packed model.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use latent_runtime::AlignedBytes;
use latent_runtime::format::{Activation, Model, OperatorKind};
use latent_runtime::ops::Operation;

use crate::model::ModelError;

/// The largest packed model that is read.
const MAX_BYTES: u64 = 4 << 30;

/// The weight of the first layer of a packed generator, one row of `inputs` values (the latent size) for each output; of
/// int8 layers each row is in units of its own, as the layer's scales say.
pub(super) fn first_layer(path: &Path, inputs: usize) -> Result<Vec<f32>, ModelError> {
    let io = |cause| ModelError::Io { path: path.to_owned(), cause };
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(MAX_BYTES).read_to_end(&mut bytes).map_err(io)?;
    let bytes = AlignedBytes::copy_of(&bytes);
    let model = Model::from_bytes(bytes.as_slice())
        .map_err(|cause| ModelError::Packed { path: path.to_owned(), cause })?;
    find(&model, inputs).map_err(|problem| ModelError::NoFirstLayer { path: path.to_owned(), problem })
}

fn find(model: &Model<'_>, inputs: usize) -> Result<Vec<f32>, String> {
    for index in 0..model.operators_len() {
        let operator = model.operator(index).ok_or("an operator cannot be read")?;
        match operator.kind {
            // Only the change to another element type, or the same values under another shape.
            OperatorKind::Unweighted(
                Operation::Elementwise { before: None, activation: Activation::Identity, after: None }
                | Operation::Reorder,
            ) => {}
            OperatorKind::FullyConnected(layer) if operator.input.elements() >= inputs => {
                return (0..operator.output.elements())
                    .flat_map(|row| (0..inputs).map(move |k| (row, k)))
                    .map(|(row, k)| layer.weight(row, k))
                    .collect::<Option<_>>()
                    .ok_or_else(|| "the first layer's weights have another size than its values".into());
            }
            other => {
                return Err(format!("the latent vector goes into \"{}\" ({})", operator.name, other.name()));
            }
        }
    }
    Err("there is no layer".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use latent_runtime::format::{
        Builder, Element, LayerSpec, ModelInfo, ModelKind, PlainBias, PlainWeights, Precision,
    };
    use latent_runtime::pixels::ValueRange;

    /// One layer of `outputs` by `inputs` weights.
    fn model(inputs: usize, outputs: usize, weights: PlainWeights<'_>) -> AlignedBytes {
        let mut builder = Builder::new(ModelInfo {
            kind: ModelKind::Generator,
            precision: Precision::F32,
            latent_size: inputs,
            distribution: None,
            range: Some(ValueRange::SIGNED),
            metadata: vec![],
        });
        let mut z = builder.input("z", &[inputs], Element::F32).unwrap();
        if matches!(weights, PlainWeights::I8 { .. }) {
            let element = Element::U8 { scale: 0.01, zero_point: 128 };
            z = builder.elementwise("q", z, None, Activation::Identity, None, element).unwrap();
        }
        let image = builder.fully_connected("layer", z, LayerSpec::new(weights, PlainBias::None)).unwrap();
        builder.output(image, "image", &[1, 1, outputs]).unwrap();
        AlignedBytes::copy_of(&builder.finish().unwrap())
    }

    #[test]
    fn weights_come_back_in_plain_order() {
        for (inputs, outputs) in [(5, 3), (6, 16), (96, 40)] {
            let weights: Vec<f32> = (0..inputs * outputs).map(|i| (i as f32 * 0.37).sin()).collect();
            let f32s = model(inputs, outputs, PlainWeights::F32(&weights));
            let found = find(&Model::from_bytes(f32s.as_slice()).unwrap(), inputs).unwrap();
            assert_eq!(found, weights, "{inputs} {outputs}");
            let halves = model(inputs, outputs, PlainWeights::F16(&weights));
            let found = find(&Model::from_bytes(halves.as_slice()).unwrap(), inputs).unwrap();
            assert!(found.iter().zip(&weights).all(|(a, b)| (a - b).abs() < 1e-3), "{inputs} {outputs}");
            let values: Vec<i8> = weights.iter().map(|w| (w * 100.0) as i8).collect();
            let scales: Vec<f32> = (1..=outputs).map(|row| row as f32).collect();
            let int8s = model(inputs, outputs, PlainWeights::I8 { values: &values, scales: &scales });
            let found = find(&Model::from_bytes(int8s.as_slice()).unwrap(), inputs).unwrap();
            // The layer's units hold the input's step of 0.01, too.
            let expected = values.iter().enumerate().map(|(i, &w)| f32::from(w) * scales[i / inputs] * 0.01);
            let close = |(a, b): (&f32, f32)| (a - b).abs() <= 1e-5 * b.abs();
            assert!(found.iter().zip(expected).all(close), "{inputs} {outputs}");
        }
    }

    #[test]
    fn what_is_found_instead_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g.lat");
        std::fs::write(&path, "no model").unwrap();
        for path in [path, folder.path().join("none.lat")] {
            let error = first_layer(&path, 4).unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
        let weights = [0.5; 64];
        let bytes = model(4, 16, PlainWeights::F32(&weights));
        let error = find(&Model::from_bytes(bytes.as_slice()).unwrap(), 5).unwrap_err();
        assert!(error.contains("fully connected"), "{error}");
    }
}
