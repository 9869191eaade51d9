//! Runs a graph on many inputs: in the engine, as it will be run.

use std::thread::available_parallelism;

use latent_runtime::backend::Backend;
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::onnx::ModelMetadata;

use super::TaskError;
use crate::graph::Graph;
use crate::graph::interpret;
use crate::pack::{FloatPrecision, pack_graph};
use crate::passes::optimize;
use crate::quantize::{Samples, in_batches};

#[derive(Debug)]
pub enum Runner {
    /// In the native engine, on all processors.
    Engine(Box<NativeBackend>),
    /// By definition, in f32: what the engine has no operators for, or has a fixed batch. Much slower.
    Definition(Box<Graph>),
}

impl Runner {
    /// The graph in the engine if that takes it.
    ///
    /// # Errors
    /// When the engine does not load what was packed: a fault of this project.
    pub fn of(graph: &Graph, metadata: &ModelMetadata) -> Result<Runner, TaskError> {
        let mut optimized = graph.clone();
        optimize(&mut optimized);
        Ok(match pack_graph(&optimized, metadata, FloatPrecision::F32) {
            Ok(packed) => Runner::Engine(Box::new(NativeBackend::from_bytes(&packed, &options())?)),
            Err(_) => Runner::Definition(Box::new(optimized)),
        })
    }

    pub fn is_engine(&self) -> bool {
        matches!(self, Runner::Engine(_))
    }

    /// Calls `take` with the outputs of `samples`, in order, about `count` examples at a time.
    pub(super) fn run_in_parts(
        &mut self,
        samples: &Samples,
        count: usize,
        mut take: impl FnMut(&[f32]) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        let length = samples.values.len() / samples.count.max(1);
        for part in samples.values.chunks((count * length).max(1)) {
            let batch = part.len() / length.max(1);
            match self {
                Runner::Engine(backend) => {
                    let mut outputs = vec![0.0; batch * backend.output().values()];
                    backend.run(batch, part, &mut outputs)?;
                    take(&outputs)?;
                }
                Runner::Definition(graph) => {
                    let part = Samples { count: batch, values: part.to_vec() };
                    let outputs = in_batches(graph, &part, |batch| {
                        Ok(interpret::run(graph, batch)?.into_iter().next().map(|output| output.data))
                    })?;
                    outputs.iter().flatten().try_for_each(|outputs| take(outputs))?;
                }
            }
        }
        Ok(())
    }
}

/// All processors.
pub(super) fn options() -> NativeOptions {
    NativeOptions { threads: available_parallelism().map_or(1, usize::from), ..NativeOptions::default() }
}
