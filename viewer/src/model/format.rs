//! The kinds of model files, and which back ends read them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use latent_runtime::AlignedBytes;
use latent_runtime::backend::OwnedInfo;
use latent_runtime::format::{Model, Ports, Precision};
use latent_runtime::image_encoding::ImageEncoding;
use latent_runtime::onnx::{self, Interface, ModelMetadata};
use latent_runtime::open::{BackendKind, Choice, Label};
use latent_runtime::pixels::ValueRange;

use super::ModelError;

/// The largest packed model that is read.
const MAX_PACKED_BYTES: u64 = 4 << 30;

/// What a file says about itself.
pub(super) struct Description {
    /// Without the batch axis.
    pub(super) input_shape: Vec<usize>,
    /// Without the batch axis.
    pub(super) output_shape: Vec<usize>,
    pub(super) precision: &'static str,
    /// The input that takes a class, beside that of the examples.
    pub(super) label: Option<Label>,
    pub(super) metadata: ModelMetadata,
}

impl Description {
    /// How the model's images are values, with the range that the user gave, if any.
    pub(super) fn encoding(
        &self,
        path: &Path,
        range: Option<ValueRange>,
    ) -> Result<ImageEncoding, ModelError> {
        self.metadata
            .image_encoding(&self.input_shape, &self.output_shape, range)
            .map_err(|problem| ModelError::Normalization { path: path.to_owned(), problem })
    }
}

pub(super) struct FileFormat {
    /// Without the dot.
    extension: &'static str,
    /// The names of the back ends that read it, the best first.
    pub(super) engine_names: &'static [&'static str],
    pub(super) describe: fn(&Path, &Choice) -> Result<Description, ModelError>,
}

/// All of them, the one to prefer first.
const FORMATS: &[FileFormat] = &[
    FileFormat { extension: "lat", engine_names: &["native"], describe: describe_packed },
    FileFormat { extension: "onnx", engine_names: &["ort", "tract"], describe: describe_onnx },
];

impl FileFormat {
    /// The back ends of this build that read it, the best first.
    pub(super) fn engines(&self) -> Vec<BackendKind> {
        let named = |name: &&str| BackendKind::ALL.iter().copied().find(|kind| kind.name() == *name);
        self.engine_names.iter().filter_map(named).filter(|kind| kind.is_built_in()).collect()
    }
}

/// The kind of a file, by its name.
pub(super) fn of(path: &Path) -> Result<&'static FileFormat, ModelError> {
    let rank = rank(path).ok_or_else(|| ModelError::UnknownExtension { path: path.to_owned() })?;
    Ok(&FORMATS[rank])
}

/// The place of a file's kind in the order of preference; `None` if its name is not that of a model.
pub(super) fn rank(path: &Path) -> Option<usize> {
    let extension = path.extension()?;
    FORMATS.iter().position(|format| extension.eq_ignore_ascii_case(format.extension))
}

/// Whether a file is named like a model that some back end of this build reads.
pub fn is_model(path: &Path) -> bool {
    rank(path).is_some_and(|rank| !FORMATS[rank].engines().is_empty())
}

/// The extensions of models, with their dots.
pub fn extensions() -> Vec<String> {
    FORMATS.iter().map(|format| format!(".{}", format.extension)).collect()
}

fn describe_onnx(path: &Path, choice: &Choice) -> Result<Description, ModelError> {
    let model = onnx::load(path)?;
    let interface =
        Interface::of(&model).map_err(|cause| ModelError::Interface { path: path.to_owned(), cause })?;
    let infos = |ports: &'_ [onnx::Port]| ports.iter().map(|port| port.info.clone()).collect();
    let precision = name(onnx::weight_precision(&model));
    describe(
        path,
        infos(&interface.inputs),
        infos(&interface.outputs),
        (precision, ModelMetadata::from_model(&model), choice),
    )
}

/// The input and the output that a model of these is about.
fn describe(
    path: &Path,
    inputs: Vec<OwnedInfo>,
    outputs: Vec<OwnedInfo>,
    (precision, metadata, choice): (&'static str, ModelMetadata, &Choice),
) -> Result<Description, ModelError> {
    let [input_infos, output_infos] =
        [&inputs, &outputs].map(|infos| infos.iter().map(OwnedInfo::info).collect::<Vec<_>>());
    let (input, output) = choice
        .among(&input_infos, &output_infos, || metadata.label.clone())
        .map_err(|cause| ModelError::Choice { path: path.to_owned(), cause })?;
    let main = input_infos[input].name;
    let label = Label::among(input_infos.iter().copied(), main, metadata.label.as_deref(), metadata.classes);
    Ok(Description {
        input_shape: inputs[input].shape.clone(),
        output_shape: outputs[output].shape.clone(),
        precision,
        label,
        metadata,
    })
}

fn name(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "fp32",
        Precision::F16 => "fp16",
        Precision::Bf16 => "bf16",
        Precision::Int8 => "int8",
        Precision::Int4 => "int4",
    }
}

fn describe_packed(path: &Path, choice: &Choice) -> Result<Description, ModelError> {
    let io = |cause| ModelError::Io { path: path.to_owned(), cause };
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(MAX_PACKED_BYTES).read_to_end(&mut bytes).map_err(io)?;
    let bytes = AlignedBytes::copy_of(&bytes);
    let model = Model::from_bytes(bytes.as_slice())
        .map_err(|cause| ModelError::Packed { path: path.to_owned(), cause })?;
    let infos = |ports: Ports<'_>| ports.map(|port| port.info().into()).collect();
    let precision = name(model.precision());
    let metadata = ModelMetadata::from_packed(&model);
    describe(path, infos(model.inputs()), infos(model.outputs()), (precision, metadata, choice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use latent_runtime::format::{
        Builder, Element, LayerSpec, ModelInfo, ModelKind as PackedKind, PlainBias, PlainWeights,
    };
    use latent_runtime::latent::Distribution;
    use latent_runtime::onnx::ModelKind;

    #[test]
    fn a_packed_model_is_described() {
        let mut builder = Builder::new(ModelInfo {
            kind: PackedKind::Generator,
            precision: Precision::F16,
            latent_size: 4,
            distribution: Some(Distribution::Normal { mean: 0.0, std: 1.0 }),
            range: Some(ValueRange::UNIT),
            metadata: vec![("latent.dataset".into(), "mnist".into())],
        });
        let z = builder.input("z", &[4], Element::F32).unwrap();
        let spec = LayerSpec::new(PlainWeights::F16(&[0.5; 24]), PlainBias::None);
        let image = builder.fully_connected("layer", z, spec).unwrap();
        builder.output(image, "image", &[1, 2, 3]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g.lat");
        std::fs::write(&path, builder.finish().unwrap()).unwrap();

        let found = describe_packed(&path, &Choice::default()).unwrap();
        assert_eq!(
            (found.input_shape, found.output_shape, found.precision),
            (vec![4], vec![1, 2, 3], "fp16")
        );
        assert_eq!(found.metadata.kind, Some(ModelKind::Generator));
        assert_eq!(found.metadata.latent_size, Some(4));
        assert_eq!(found.metadata.distribution, Some(Distribution::Normal { mean: 0.0, std: 1.0 }));
        assert_eq!(
            (found.metadata.range, found.metadata.dataset.as_deref()),
            (Some(ValueRange::UNIT), Some("mnist"))
        );
    }

    #[test]
    fn what_is_no_packed_model_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g.lat");
        std::fs::write(&path, "not a model").unwrap();
        let error = describe_packed(&path, &Choice::default()).err().unwrap().to_string();
        assert!(error.contains("g.lat cannot be read"), "{error}");
    }

    #[test]
    fn extensions_count_in_any_case() {
        assert_eq!(rank(Path::new("a/B.ONNX")), rank(Path::new("b.onnx")));
        assert_eq!(rank(Path::new("onnx")), None);
        assert!(of(Path::new("model.pt")).is_err());
    }
}
