//! Files of embeddings with the names and labels of their images.
//!
//! A `.safetensors` file has the tensors `embeddings` (N, D) F32 and `labels` (N) I64, and under the metadata key `latent` a
//! JSON object: `names` of the N images, `classes` by label, and `model`. In Python: `safetensors.safe_open`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, bail};
use latent_files::regular;
use latent_runtime::gallery::{Gallery, Storage, bytes_for};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

/// The largest file that is read: 8 GB.
const MAX_FILE: u64 = 8 << 30;

/// Embeddings of images.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Embeddings {
    /// The file name of the model that they are from.
    pub(crate) model: String,
    /// Values of one embedding.
    pub(crate) dimension: usize,
    /// The embeddings one after the other.
    pub(crate) values: Vec<f32>,
    /// Where each image comes from.
    pub(crate) names: Vec<String>,
    /// The class of each, an index into `classes`.
    pub(crate) labels: Vec<u32>,
    /// The names of the classes, sorted.
    pub(crate) classes: Vec<String>,
}

/// What is said beside the tensors.
#[derive(Serialize, Deserialize)]
struct Said {
    #[serde(default)]
    model: String,
    classes: Vec<String>,
    names: Vec<String>,
}

impl Embeddings {
    /// Embeddings of images with a name and a class each.
    pub(crate) fn new(
        model: String,
        dimension: usize,
        values: Vec<f32>,
        images: &[(String, String)],
    ) -> Self {
        let mut classes: Vec<String> = images.iter().map(|(_, class)| class.clone()).collect();
        classes.sort();
        classes.dedup();
        let labels =
            images.iter().map(|(_, class)| classes.partition_point(|other| other < class) as u32).collect();
        let names = images.iter().map(|(name, _)| name.clone()).collect();
        Self { model, dimension, values, names, labels, classes }
    }

    /// The number of embeddings.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Each embedding with the name and the class of its image.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[f32], &str, &str)> {
        let named = self.names.iter().zip(&self.labels);
        self.values
            .chunks_exact(self.dimension.max(1))
            .zip(named)
            .map(|(values, (name, label))| (values, name.as_str(), self.class(*label)))
    }

    /// The name of a class.
    pub(crate) fn class(&self, label: u32) -> &str {
        self.classes.get(label as usize).map_or("", String::as_str)
    }

    /// The bytes for a file of this name: `.safetensors`, `.csv`, or `.gallery` for a device, stored as `storage`.
    pub(crate) fn encode(&self, path: &Path, storage: Storage) -> anyhow::Result<Vec<u8>> {
        match Form::of(path)? {
            Form::Safetensors => self.safetensors(),
            Form::Csv => Ok(self.csv().into_bytes()),
            Form::Gallery => {
                Ok(self.in_gallery(&mut self.gallery_memory(storage)?, storage)?.bytes().to_vec())
            }
        }
    }

    fn safetensors(&self) -> anyhow::Result<Vec<u8>> {
        let floats: Vec<u8> = self.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let labels: Vec<u8> = self.labels.iter().flat_map(|&label| i64::from(label).to_le_bytes()).collect();
        let tensors = [
            ("embeddings", TensorView::new(Dtype::F32, vec![self.len(), self.dimension], &floats)?),
            ("labels", TensorView::new(Dtype::I64, vec![self.len()], &labels)?),
        ];
        // One key, so that the same embeddings make the same bytes.
        let said =
            Said { model: self.model.clone(), classes: self.classes.clone(), names: self.names.clone() };
        let said = HashMap::from([("latent".to_string(), serde_json::to_string(&said)?)]);
        Ok(safetensors::serialize(tensors, Some(said))?)
    }

    /// A line for each image: name, label, values.
    pub(crate) fn csv(&self) -> String {
        let mut text = String::from("image,label");
        (0..self.dimension).for_each(|at| write!(text, ",{at}").unwrap_or_default());
        text.push('\n');
        for (values, name, class) in self.iter() {
            text += &quoted(name);
            text.push(',');
            text += &quoted(class);
            values.iter().for_each(|value| write!(text, ",{value}").unwrap_or_default());
            text.push('\n');
        }
        text
    }

    /// Memory for a gallery of them all.
    pub(crate) fn gallery_memory(&self, storage: Storage) -> anyhow::Result<Vec<u8>> {
        let bytes = bytes_for(self.dimension, storage, self.len().max(1));
        let mut memory = Vec::new();
        memory.try_reserve_exact(bytes).with_context(|| format!("a gallery of {} embeddings", self.len()))?;
        memory.resize(bytes, 0);
        Ok(memory)
    }

    /// A gallery of them all.
    pub(crate) fn in_gallery<'m>(
        &self,
        memory: &'m mut [u8],
        storage: Storage,
    ) -> anyhow::Result<Gallery<'m>> {
        let mut gallery = Gallery::new(memory, self.dimension, storage)?;
        for ((values, name, _), label) in self.iter().zip(&self.labels) {
            gallery.add(values, *label).with_context(|| format!("the embedding of {name}"))?;
        }
        Ok(gallery)
    }

    /// Reads a `.safetensors` file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        Self::read_file(path).with_context(|| format!("cannot use {} as embeddings", path.display()))
    }

    fn read_file(path: &Path) -> anyhow::Result<Self> {
        Self::decode(&regular::read(path, MAX_FILE)?)
    }

    fn decode(bytes: &[u8]) -> anyhow::Result<Self> {
        let expected = "write one with `runtime embed --out FILE.safetensors`";
        let (_, header) = SafeTensors::read_metadata(bytes)
            .with_context(|| format!("it is no readable safetensors file; {expected}"))?;
        let file = SafeTensors::deserialize(bytes)?;
        let said = header.metadata().as_ref().and_then(|entries| entries.get("latent"));
        let said = said.with_context(|| format!("its metadata has no entry \"latent\"; {expected}"))?;
        let Said { model, classes, names } =
            serde_json::from_str(said).context("its metadata's entry \"latent\" is not what it should be")?;
        let tensor = |name: &str, dtype, rank: usize| {
            let tensor = file.tensor(name).with_context(|| format!("it has no tensor \"{name}\""))?;
            if tensor.dtype() != dtype || tensor.shape().len() != rank {
                let (found, shape) = (tensor.dtype(), tensor.shape());
                bail!("its tensor \"{name}\" is {found:?} {shape:?}, expected {dtype:?} of {rank} axes");
            }
            Ok(tensor)
        };
        let (embeddings, labels) = (tensor("embeddings", Dtype::F32, 2)?, tensor("labels", Dtype::I64, 1)?);
        let (count, dimension) = (embeddings.shape()[0], embeddings.shape()[1]);
        if count == 0 || dimension == 0 {
            bail!("it holds {count} embeddings of {dimension} values");
        }
        if labels.shape()[0] != count || names.len() != count {
            let labels = labels.shape()[0];
            bail!("it holds {count} embeddings, but {labels} labels and {} names", names.len());
        }
        let values: Vec<f32> =
            embeddings.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            bail!("the embedding of {} holds a value that is not finite", names[at / dimension]);
        }
        let label = |&bytes: &[u8; 8]| {
            let label = i64::from_le_bytes(bytes);
            let found = usize::try_from(label).ok().filter(|&label| label < classes.len());
            match found {
                Some(label) => Ok(label as u32),
                None => bail!("it has the label {label}, but {} classes", classes.len()),
            }
        };
        let labels = labels.data().as_chunks().0.iter().map(label).collect::<anyhow::Result<_>>()?;
        Ok(Self { model, dimension, values, names, labels, classes })
    }

    /// The label here of each class of `other`, by name; `None` for one that is not here.
    pub(crate) fn labels_of(&self, other: &Embeddings) -> Vec<Option<u32>> {
        let known: BTreeMap<&str, u32> =
            self.classes.iter().enumerate().map(|(at, class)| (class.as_str(), at as u32)).collect();
        other.classes.iter().map(|class| known.get(class.as_str()).copied()).collect()
    }
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Safetensors,
    Csv,
    Gallery,
}

impl Form {
    /// By the extension.
    pub(crate) fn of(path: &Path) -> anyhow::Result<Self> {
        let is =
            |known: &str| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(known));
        Ok(match () {
            () if is("safetensors") => Self::Safetensors,
            () if is("csv") => Self::Csv,
            () if is("gallery") => Self::Gallery,
            () => bail!(
                "{} has none of the extensions that embeddings are written with: .safetensors, .csv, .gallery",
                path.display()
            ),
        })
    }
}

/// A field of a CSV file (RFC 4180).
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embeddings() -> Embeddings {
        let images = [("a/1.png", "cat"), ("b, c/2.png", "ape"), ("a/3.png", "cat")];
        let images = images.map(|(name, class)| (name.to_string(), class.to_string()));
        Embeddings::new("m.onnx".into(), 2, vec![1.0, 0.5, -1.0, 2.0, 1.0, 0.25], &images)
    }

    #[test]
    fn files_come_back_and_are_the_same_bytes_each_time() {
        let bytes = embeddings().encode(Path::new("a.safetensors"), Storage::F32).unwrap();
        assert_eq!(Embeddings::decode(&bytes).unwrap(), embeddings());
        assert_eq!(embeddings().encode(Path::new("b.SAFETENSORS"), Storage::F32).unwrap(), bytes);
        assert_eq!(
            (embeddings().labels, embeddings().class(0).to_string()),
            (vec![1, 0, 1], "ape".to_string())
        );
    }

    #[test]
    fn other_forms() {
        let csv = String::from_utf8(embeddings().encode(Path::new("a.csv"), Storage::F32).unwrap()).unwrap();
        assert_eq!(csv, "image,label,0,1\na/1.png,cat,1,0.5\n\"b, c/2.png\",ape,-1,2\na/3.png,cat,1,0.25\n");
        let gallery = embeddings().encode(Path::new("a.gallery"), Storage::I8).unwrap();
        let view = latent_runtime::gallery::GalleryView::from_bytes(&gallery).unwrap();
        assert_eq!((view.len(), view.storage(), view.label(1)), (3, Storage::I8, Some(0)));
        assert!(embeddings().encode(Path::new("a.npz"), Storage::F32).is_err());
    }

    #[test]
    fn damaged_files_are_refused() {
        let good = embeddings().safetensors().unwrap();
        for length in 0..good.len() {
            assert!(Embeddings::decode(&good[..length]).is_err(), "{length}");
        }
        let changed = |change: fn(&mut Embeddings)| {
            let mut embeddings = embeddings();
            change(&mut embeddings);
            format!("{:#}", Embeddings::decode(&embeddings.safetensors().unwrap()).unwrap_err())
        };
        for (error, expected) in [
            (changed(|e| e.labels[1] = 7), "the label 7, but 2 classes"),
            (
                changed(|e| e.values[3] = f32::NAN),
                "the embedding of b, c/2.png holds a value that is not finite",
            ),
        ] {
            assert!(error.contains(expected), "{error}");
        }
        let plain = safetensors::serialize::<&str, TensorView<'_>, _>([], None).unwrap();
        assert!(format!("{:#}", Embeddings::decode(&plain).unwrap_err()).contains("no entry \"latent\""));
    }
}
