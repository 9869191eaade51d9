//! Checkpoints: weights, optimizer, random state and progress, exactly as they were; written, thinned out and read.
//! [`latent_files::run::checkpoint`] says what lies in one.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use latent_files::run::{MAX_WEIGHTS, RunError, parse_safetensors};
use latent_files::{atomic, regular};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use tch::{Kind, TchError, Tensor};

use crate::nn::StateError;

pub use latent_files::run::FORMAT;
pub use latent_files::run::checkpoint::{
    CLASSIFIER, DISCRIMINATOR, ENCODER, GENERATOR, GENERATOR_EMA, OPTIMIZER, STATE, SavedState, folder, list,
    read_state,
};

pub type Tensors = BTreeMap<String, Tensor>;
/// What a file of tensors says beside them.
pub type Metadata = HashMap<String, String>;

/// Why a checkpoint could not be written or read. Every message names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A file cannot be read or is not what it should be.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Tensors do not fit the network or optimizer.
    #[error("{}: {error}", path.display())]
    State {
        path: PathBuf,
        /// Which one and why.
        error: StateError,
    },
    #[error("libtorch: {0}")]
    Torch(TchError),
}

// Not as its source: the message has it already.
impl From<TchError> for CheckpointError {
    fn from(error: TchError) -> Self {
        Self::Torch(error)
    }
}

/// Writes a checkpoint: all `files` and the state, on the disk when this returns. If there is one of this iteration
/// already, it is left as it is.
///
/// # Errors
/// [`CheckpointError::Io`], for instance for a full disk; then nothing was changed.
pub fn save(
    checkpoints: &Path,
    files: &[(&str, Tensors)],
    state: &impl SavedState,
) -> Result<PathBuf, CheckpointError> {
    let path = folder(checkpoints, state.iteration());
    if path.is_dir() {
        return Ok(path);
    }
    atomic::write_folder(&path, |temp| -> Result<(), CheckpointError> {
        for (name, tensors) in files {
            write_tensors(&temp.join(name), tensors)?;
        }
        let state = serde_json::to_vec_pretty(state).map_err(io::Error::other)?;
        Ok(atomic::write_synced(&temp.join(STATE), &state)?)
    })?;
    Ok(path)
}

/// Removes the oldest checkpoints so that `keep` are left (at least one), besides those of the iterations in `apart`.
pub fn prune(checkpoints: &Path, keep: usize, apart: &[u64]) -> Result<(), CheckpointError> {
    let mut found = list(checkpoints)?;
    found.retain(|(iteration, _)| !apart.contains(iteration));
    for (_, path) in &found[..found.len().saturating_sub(keep.max(1))] {
        atomic::remove_folder(path)?;
    }
    Ok(())
}

/// Reads a file of tensors. Kinds f32, f16 (which becomes f32) and i64.
pub fn read_tensors(path: &Path) -> Result<Tensors, CheckpointError> {
    let bytes = regular::read(path, MAX_WEIGHTS)
        .map_err(|error| RunError::Read { path: path.to_owned(), reason: error.into() })?;
    Ok(parse_tensors(path, &bytes)?.0)
}

/// The tensors in the content of the file `path`, and its metadata.
pub fn parse_tensors(path: &Path, bytes: &[u8]) -> Result<(Tensors, Metadata), CheckpointError> {
    let mut tensors = Tensors::new();
    for (name, view) in parse_safetensors(path, bytes)?.iter() {
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F16 => Kind::Half,
            Dtype::I64 => Kind::Int64,
            other => {
                let what = format!("tensor {name:?} is {other:?}, expected F32, F16 or I64");
                return Err(RunError::Tensor { path: path.to_owned(), what }.into());
            }
        };
        let shape: Vec<i64> = view.shape().iter().map(|n| *n as i64).collect();
        let mut tensor = Tensor::f_from_data_size(view.data(), &shape, kind)?;
        if kind == Kind::Half {
            tensor = tensor.f_to_kind(Kind::Float)?;
        }
        tensors.insert(name.to_owned(), tensor);
    }
    let header = SafeTensors::read_metadata(bytes)
        .map_err(|reason| RunError::Safetensors { path: path.to_owned(), reason })?;
    Ok((tensors, header.1.metadata().clone().unwrap_or_default()))
}

/// Writes a file of tensors (kinds f32 and i64) and waits until it is on the disk.
pub fn write_tensors(path: &Path, tensors: &Tensors) -> Result<(), CheckpointError> {
    Ok(atomic::write_synced(path, &to_bytes(tensors, None)?)?)
}

/// The tensors as a safetensors file, in row-major order whatever their layout in memory.
pub fn to_bytes(tensors: &Tensors, metadata: Option<Metadata>) -> Result<Vec<u8>, CheckpointError> {
    let mut buffers = Vec::new();
    for (name, tensor) in tensors {
        let dtype = match tensor.f_kind()? {
            Kind::Float => Dtype::F32,
            Kind::Half => Dtype::F16,
            Kind::Int64 => Dtype::I64,
            other => return Err(io::Error::other(format!("tensor {name:?} has kind {other:?}")).into()),
        };
        let tensor = tensor.f_detach()?.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
        let mut bytes = vec![0u8; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
        let shape: Vec<usize> = tensor.size().iter().map(|n| *n as usize).collect();
        buffers.push((name.as_str(), dtype, shape, bytes));
    }
    let mut views = Vec::new();
    for (name, dtype, shape, bytes) in &buffers {
        let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(io::Error::other)?;
        views.push((*name, view));
    }
    Ok(safetensors::serialize(views, metadata).map_err(io::Error::other)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::diagnosis::Monitor;
    use crate::gan::losses::LossKind;
    use crate::gan::run::State;

    fn state(iteration: u64) -> State {
        State {
            format: FORMAT,
            iteration,
            noise: [u64::MAX, 1, 2, 3],
            discriminator_steps: iteration,
            generator_steps: iteration,
            ema_updates: 0,
            seconds: 0.1 + 0.2,
            monitor: Monitor::new(LossKind::Bce),
            recent: [(0.1, 0.3)].into(),
            diversity: Some(0.1),
            quality: None,
            best: None,
        }
    }

    fn tensors() -> Tensors {
        let weight = Tensor::from_slice(&[1.0f32, -0.0, f32::MIN_POSITIVE, 3.5, 5.0, 6.0]).view([2, 3]);
        let count = Tensor::from_slice(&[7i64]).view([0i64; 0].as_slice());
        [("1.weight".into(), weight.transpose(0, 1)), ("2.num_batches_tracked".into(), count)].into()
    }

    #[test]
    fn what_was_saved_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = save(dir.path(), &[(GENERATOR, tensors())], &state(12)).unwrap();
        assert!(path.ends_with("00000012"));
        assert_eq!(read_state::<State>(&path).unwrap(), state(12));
        let read = read_tensors(&path.join(GENERATOR)).unwrap();
        assert_eq!(read.keys().collect::<Vec<_>>(), ["1.weight", "2.num_batches_tracked"]);
        assert_eq!(read["1.weight"].size(), [3, 2]);
        assert_eq!(read["1.weight"], tensors()["1.weight"]);
        assert_eq!(read["2.num_batches_tracked"].int64_value(&[]), 7);
    }

    #[test]
    fn only_the_newest_are_kept_and_leftovers_are_no_checkpoints() {
        let dir = tempfile::tempdir().unwrap();
        for iteration in [5, 100, 20, 3_000_000_000] {
            save(dir.path(), &[], &state(iteration)).unwrap();
        }
        // What a kill in the middle of a save leaves.
        fs::create_dir(dir.path().join(".tmp-00000200")).unwrap();
        fs::write(dir.path().join(".tmp-00000200/generator.safetensors"), "half").unwrap();
        prune(dir.path(), 2, &[5]).unwrap();
        let left: Vec<u64> = list(dir.path()).unwrap().into_iter().map(|(i, _)| i).collect();
        assert_eq!(left, [5, 100, 3_000_000_000]);
        atomic::clean(dir.path()).unwrap();
        assert!(!dir.path().join(".tmp-00000200").exists());
        save(dir.path(), &[], &state(200)).unwrap();
        prune(dir.path(), 0, &[]).unwrap();
        assert_eq!(list(dir.path()).unwrap().len(), 1, "the newest stays, whatever is asked");
        assert!(list(&dir.path().join("absent")).unwrap().is_empty());
    }

    #[test]
    fn a_failed_save_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), &[(GENERATOR, tensors())], &state(1)).unwrap();
        let bad: Tensors = [("b".to_owned(), Tensor::from_slice(&[true]))].into();
        let error = save(dir.path(), &[(GENERATOR, tensors()), ("x", bad)], &state(2)).unwrap_err();
        assert!(error.to_string().contains("Bool"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(read_state::<State>(&folder(dir.path(), 1)).is_ok());
    }

    #[test]
    fn bad_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = save(dir.path(), &[(GENERATOR, tensors())], &state(1)).unwrap();
        let file = path.join(GENERATOR);
        let good = fs::read(&file).unwrap();
        for cut in [0, 4, 20, good.len() - 1] {
            fs::write(&file, &good[..cut]).unwrap();
            let error = read_tensors(&file).unwrap_err().to_string();
            assert!(error.contains(GENERATOR) && error.contains("safetensors file"), "{error}");
        }
        fs::remove_file(&file).unwrap();
        assert!(read_tensors(&file).unwrap_err().to_string().contains("cannot read"));
        fs::write(path.join(STATE), "{}").unwrap();
        assert!(read_state::<State>(&path).unwrap_err().to_string().contains("state.json"));
    }
}
