//! Runs a graph on samples and counts the values of its activations.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::histogram::Histogram;
use super::inputs::per_example;
use super::{QuantizeError, Samples};
use crate::graph::interpret::{self, Array};
use crate::graph::{Content, Dim, Graph, ValueId};
use crate::random_inputs::labels;

/// About how many values a graph may hold at once, on each processor.
const VALUES_AT_ONCE: usize = 1 << 22;

/// Most samples evaluated at once.
const MAX_BATCH: usize = 32;

/// Calls `evaluate` with all samples, some at a time, on all processors. The results are in the samples' order. What is left
/// over by a fixed batch is left out. Further inputs, which are labels, get one after the other.
pub(crate) fn in_batches<T: Send>(
    graph: &Graph,
    samples: &Samples,
    evaluate: impl Fn(Vec<Array<f32>>) -> Result<T, QuantizeError> + Sync,
) -> Result<Vec<T>, QuantizeError> {
    let shape = graph.inputs.first().map(|&input| graph.shape(input)).unwrap_or_default();
    let length = per_example(&shape);
    let computed = graph.values.iter().map(|value| match &value.content {
        Content::Computed { shape, .. } => per_example(shape),
        Content::Constant(_) => 0,
    });
    let batch = match shape.first() {
        Some(Dim::Size(batch)) => *batch,
        _ => (VALUES_AT_ONCE / computed.sum::<usize>().max(1)).clamp(1, MAX_BATCH),
    };
    let labels = labels(graph);
    let lengths = |count: usize| {
        let rest = shape.iter().skip(1).map(|dim| if let Dim::Size(length) = dim { *length } else { count });
        std::iter::once(count).chain(rest).collect::<Vec<_>>()
    };
    let is_whole =
        |values: &&[f32]| matches!(shape.first(), Some(Dim::Batch)) || values.len() == batch * length;
    samples
        .values
        .par_chunks((batch * length).max(1))
        .enumerate()
        .filter(|(_, values)| is_whole(values))
        .map(|(at, values)| {
            let count = values.len() / length.max(1);
            let mut inputs = vec![Array { shape: lengths(count), data: values.to_vec() }];
            for &input in graph.inputs.iter().skip(1) {
                let shape: Vec<usize> = graph
                    .shape(input)
                    .iter()
                    .map(|dim| if let Dim::Size(length) = dim { *length } else { count })
                    .collect();
                let labels = (at * batch..).map(|place| (place % labels) as f32);
                inputs.push(Array { data: labels.take(shape.iter().product()).collect(), shape });
            }
            evaluate(inputs)
        })
        .collect()
}

/// The distribution of each of `values`, when `graph` is given the samples.
pub(super) fn observe(
    graph: &Graph,
    samples: &Samples,
    values: &BTreeSet<ValueId>,
) -> Result<BTreeMap<ValueId, Histogram>, QuantizeError> {
    let counted = in_batches(graph, samples, |batch| {
        let computed = interpret::run_all(graph, batch)?;
        let count = |&value: &ValueId| {
            let mut histogram = Histogram::new();
            let data = computed.get(value.0).and_then(Option::as_ref).map_or(&[][..], |array| &array.data);
            histogram
                .add(data)
                .map_err(|_| QuantizeError::NotFinite { value: graph.value(value).name.clone() })?;
            Ok((value, histogram))
        };
        values.iter().map(count).collect::<Result<Vec<_>, QuantizeError>>()
    })?;
    let mut all: BTreeMap<ValueId, Histogram> = BTreeMap::new();
    for (value, histogram) in counted.iter().flatten() {
        all.entry(*value).or_insert_with(Histogram::new).merge(histogram);
    }
    Ok(all)
}
