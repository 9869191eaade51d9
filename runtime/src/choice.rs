//! Of a model with several inputs or outputs, the one input and the one output that a program is about.

use std::borrow::ToOwned;
use std::boxed::Box;
use std::fmt;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use crate::backend::{Backend, RunError, TensorInfo, check_run, inputs, outputs};
use crate::format::{Name, PortType};

/// Which input and output [`Backend::run`] is about, and what goes into the other inputs. The default is right for every
/// model of one input and one output, and for a generator with a label, which is then to be given ([`Backend::give`]).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// The input that examples go into. If `None`, it is the one that is left without those in `given` and without labels:
    /// the input that the metadata names under `latent.label`, and inputs of one whole number.
    pub input: Option<String>,
    /// The output that comes out. If `None`, the model has but one.
    pub output: Option<String>,
    /// Other inputs by name, with what [`Backend::give`] takes.
    pub given: Vec<(String, Vec<f32>)>,
}

/// The input that takes the class of what a generator draws, or of what a discriminator scores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// How many classes there are, if that is known.
    pub classes: Option<usize>,
    /// Whether a class goes in as as many values as there are classes, of which its own is 1 and the others 0; otherwise it is
    /// a number.
    pub one_hot: bool,
}

impl Label {
    /// The label of a model: the input that the metadata names ([`ModelMetadata::label`](crate::onnx::ModelMetadata)), else the
    /// first of one whole number beside the input of [`Backend::run`]. `classes` is what the metadata says of their number.
    pub fn of(backend: &dyn Backend, named: Option<&str>, classes: Option<usize>) -> Option<Self> {
        Self::among(inputs(backend), backend.input().name, named, classes)
    }

    /// As [`Label::of`], of inputs of which `main` is the name of the one that examples go into.
    pub fn among<'a>(
        inputs: impl Iterator<Item = TensorInfo<'a>>,
        main: &str,
        named: Option<&str>,
        classes: Option<usize>,
    ) -> Option<Self> {
        let mut others = inputs.filter(|info| info.name != main);
        let info = match named {
            Some(named) => others.find(|info| info.name == named)?,
            None => others.find(is_number)?,
        };
        let one_hot = info.values() != 1;
        let classes = if one_hot { Some(info.values()) } else { classes };
        Some(Self { name: info.name.to_owned(), classes, one_hot })
    }

    /// What goes in for a class; `None` if there is no such class.
    pub fn values(&self, class: usize) -> Option<Vec<f32>> {
        if self.classes.is_some_and(|classes| class >= classes) || class >= 1 << f32::MANTISSA_DIGITS {
            return None;
        }
        Some(match self.classes {
            Some(classes) if self.one_hot => (0..classes).map(|other| f32::from(other == class)).collect(),
            _ => vec![class as f32],
        })
    }
}

impl Choice {
    /// The places of the chosen input and output among all of a model's. `label` is asked for the input that the metadata names
    /// under `latent.label` if that matters.
    ///
    /// # Errors
    /// See [`ChoiceError`].
    pub fn among(
        &self,
        inputs: &[TensorInfo<'_>],
        outputs: &[TensorInfo<'_>],
        label: impl FnOnce() -> Option<String>,
    ) -> Result<(usize, usize), ChoiceError> {
        let input = self.input_among(inputs, label)?;
        let output = match &self.output {
            Some(name) => find("output", outputs, name)?,
            None if outputs.len() == 1 => 0,
            None => return Err(ChoiceError::Several { role: "output", all: told(outputs) }),
        };
        Ok((input, output))
    }

    fn input_among(
        &self,
        all: &[TensorInfo<'_>],
        label: impl FnOnce() -> Option<String>,
    ) -> Result<usize, ChoiceError> {
        for (name, _) in &self.given {
            find("input", all, name)?;
        }
        if let Some(name) = &self.input {
            return find("input", all, name);
        }
        if all.len() == 1 && self.given.is_empty() {
            return Ok(0);
        }
        let given = |info: &TensorInfo<'_>| self.given.iter().any(|(name, _)| name == info.name);
        let mut open: Vec<usize> =
            (0..all.len()).filter(|&index| !given(&all[index]) && !is_number(&all[index])).collect();
        if open.len() > 1
            && let Some(label) = label()
        {
            open.retain(|&index| all[index].name != label);
        }
        match *open.as_slice() {
            [input] => Ok(input),
            [] => Err(ChoiceError::NoneLeft { all: told(all) }),
            _ => {
                let open: Vec<_> = open.into_iter().map(|index| all[index]).collect();
                Err(ChoiceError::Several { role: "input", all: told(&open) })
            }
        }
    }
}

/// Why there is no choice.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChoiceError {
    /// No input, or output, has the name.
    NoSuch {
        /// `input` or `output`.
        role: &'static str,
        /// The name asked for.
        name: String,
        /// Those there are, with their shapes.
        all: Vec<String>,
    },
    /// Several could be meant.
    Several {
        /// `input` or `output`.
        role: &'static str,
        /// These, with their shapes.
        all: Vec<String>,
    },
    /// All inputs are given, or labels.
    NoneLeft {
        /// All inputs, with their shapes.
        all: Vec<String>,
    },
    /// An input cannot be given these values.
    Given(Box<RunError>),
}

impl fmt::Display for ChoiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuch { role, name, all } => {
                write!(f, "it has no {role} `{name}`, but {}", all.join(" and "))
            }
            Self::Several { role: "output", all } => {
                let (count, all) = (all.len(), all.join(", "));
                write!(f, "it has {count} outputs, {all}; choose one by its name (--output NAME)")
            }
            Self::Several { all, .. } => {
                let (count, all) = (all.len(), all.join(", "));
                write!(f, "{count} inputs are open, {all}; give all but one by name (--input NAME=VALUES)")
            }
            Self::NoneLeft { all } => {
                write!(f, "no input is left for the examples: of {} all are given or labels", all.join(", "))
            }
            Self::Given(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ChoiceError {}

/// A back end whose [`Backend::input`], [`Backend::output`] and [`Backend::run`] are about the chosen ones of several.
#[derive(Debug)]
pub struct Chosen<B> {
    backend: B,
    input: usize,
    output: usize,
    /// Whether there is nothing to be chosen.
    single: bool,
    /// What was given for each input; empty if nothing.
    given: Vec<Vec<f32>>,
    /// A batch of each other input and output.
    inputs: Vec<Vec<f32>>,
    outputs: Vec<Vec<f32>>,
}

impl<B: Backend> Chosen<B> {
    /// Chooses. `label` is asked for the input that the metadata names under `latent.label` if that matters.
    ///
    /// # Errors
    /// See [`ChoiceError`].
    pub fn new(
        backend: B,
        choice: &Choice,
        label: impl FnOnce() -> Option<String>,
    ) -> Result<Self, ChoiceError> {
        let all = (inputs(&backend).collect::<Vec<_>>(), outputs(&backend).collect::<Vec<_>>());
        let (input, output) = choice.among(&all.0, &all.1, label)?;
        let counts = [all.0.len(), all.1.len()];
        let mut chosen = Self {
            backend,
            input,
            output,
            single: counts == [1, 1],
            given: vec![Vec::new(); counts[0]],
            inputs: vec![Vec::new(); counts[0]],
            outputs: vec![Vec::new(); counts[1]],
        };
        for (name, values) in &choice.given {
            chosen.give(name, values).map_err(|error| ChoiceError::Given(Box::new(error)))?;
        }
        Ok(chosen)
    }

    /// The back end itself.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// Has `run` run a batch of the chosen input, with all inputs and all outputs in the model's order.
    ///
    /// # Errors
    /// As [`Backend::run`], and what `run` returns.
    pub fn run_by<R>(
        &mut self,
        batch: usize,
        input: &[f32],
        output: &mut [f32],
        run: impl FnOnce(&mut B, &[&[f32]], &mut [&mut [f32]]) -> Result<R, RunError>,
    ) -> Result<R, RunError> {
        if self.single {
            return run(&mut self.backend, &[input], &mut [output]);
        }
        check_run(self.input(), self.output(), batch, input, output)?;
        for (index, info) in inputs(&self.backend).enumerate() {
            if index == self.input {
                continue;
            }
            let (name, given) = (Name::new(info.name), &self.given[index]);
            let (values, expected) = (info.values(), batch * info.values());
            let filled = &mut self.inputs[index];
            filled.clear();
            match given.len() {
                0 => return Err(RunError::NotGiven { name }),
                found if found == values => (0..batch).for_each(|_| filled.extend_from_slice(given)),
                found if found == expected => filled.extend_from_slice(given),
                found => return Err(RunError::PortLength { role: "input", name, expected, found }),
            }
        }
        for (buffer, info) in self.outputs.iter_mut().zip(outputs(&self.backend)) {
            buffer.resize(batch * info.values(), 0.0);
        }
        let mut all_inputs: Vec<&[f32]> = self.inputs.iter().map(Vec::as_slice).collect();
        let mut all_outputs: Vec<&mut [f32]> = self.outputs.iter_mut().map(Vec::as_mut_slice).collect();
        (all_inputs[self.input], all_outputs[self.output]) = (input, output);
        run(&mut self.backend, &all_inputs, &mut all_outputs)
    }
}

fn told(all: &[TensorInfo<'_>]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

fn find(role: &'static str, all: &[TensorInfo<'_>], name: &str) -> Result<usize, ChoiceError> {
    let missing = || ChoiceError::NoSuch { role, name: name.to_owned(), all: told(all) };
    all.iter().position(|info| info.name == name).ok_or_else(missing)
}

/// Whether an input is a label by its looks: one whole number.
fn is_number(info: &TensorInfo<'_>) -> bool {
    info.kind == PortType::Integer && info.values() == 1
}

impl<B: Backend> Backend for Chosen<B> {
    fn describe(&self) -> &str {
        self.backend.describe()
    }

    fn input(&self) -> TensorInfo<'_> {
        self.backend.input_at(self.input).unwrap_or(self.backend.input())
    }

    fn output(&self) -> TensorInfo<'_> {
        self.backend.output_at(self.output).unwrap_or(self.backend.output())
    }

    fn run(&mut self, batch: usize, input: &[f32], output: &mut [f32]) -> Result<(), RunError> {
        self.run_by(batch, input, output, |backend, inputs, outputs| backend.run_all(batch, inputs, outputs))
    }

    fn input_at(&self, index: usize) -> Option<TensorInfo<'_>> {
        self.backend.input_at(index)
    }

    fn output_at(&self, index: usize) -> Option<TensorInfo<'_>> {
        self.backend.output_at(index)
    }

    fn run_all(
        &mut self,
        batch: usize,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
    ) -> Result<(), RunError> {
        self.backend.run_all(batch, inputs, outputs)
    }

    fn give(&mut self, name: &str, values: &[f32]) -> Result<(), RunError> {
        let others = || inputs(&self.backend).enumerate().filter(|(index, _)| *index != self.input);
        let Some((index, info)) = others().find(|(_, info)| info.name == name) else {
            let names = Name::joined(others().map(|(_, info)| info.name));
            return Err(RunError::NoSuchPort { role: "input", name: Name::new(name), names });
        };
        let (expected, found) = (info.values(), values.len());
        if found == 0 || found % expected != 0 {
            return Err(RunError::PortLength { role: "input", name: Name::new(name), expected, found });
        }
        self.given[index] = values.to_vec();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::tests::several_ports;
    use crate::native::{NativeBackend, NativeOptions};

    fn chosen(choice: &Choice) -> Result<Chosen<NativeBackend>, ChoiceError> {
        let backend = NativeBackend::from_bytes(&several_ports(false), &NativeOptions::default()).unwrap();
        Chosen::new(backend, choice, || None)
    }

    fn choice(input: Option<&str>, output: Option<&str>, given: &[(&str, usize)]) -> Choice {
        Choice {
            input: input.map(Into::into),
            output: output.map(Into::into),
            given: given.iter().map(|(name, count)| (name.to_string(), vec![0.0; *count])).collect(),
        }
    }

    #[test]
    fn one_input_and_one_output_are_chosen_or_the_error_names_them() {
        // Inputs: z (N, 3), label (N), spare (N, 2, 2, 2). Outputs: image, z, hidden, again, same label.
        let cases = [
            (choice(None, Some("image"), &[("spare", 8)]), Ok(("z", "image"))),
            (choice(Some("z"), Some("hidden"), &[]), Ok(("z", "hidden"))),
            (choice(Some("label"), Some("z"), &[]), Ok(("label", "z"))),
            (choice(None, Some("z"), &[("z", 3), ("label", 1)]), Ok(("spare", "z"))),
            (
                choice(None, Some("image"), &[]),
                Err("2 inputs are open, z (N, 3), spare (N, 2, 2, 2); give all"),
            ),
            (choice(Some("z"), None, &[]), Err("it has 5 outputs, image (N, 2, 2, 2), z (N, 3),")),
            (choice(Some("zz"), None, &[]), Err("it has no input `zz`, but z (N, 3) and label (N) and")),
            (choice(Some("z"), Some("y"), &[]), Err("it has no output `y`, but image")),
            (choice(None, Some("z"), &[("nothing", 1)]), Err("it has no input `nothing`")),
            (choice(None, Some("z"), &[("z", 3), ("spare", 8)]), Err("no input is left for the examples")),
            (choice(Some("z"), Some("z"), &[("z", 3)]), Err("the model has no input `z`, only label, spare")),
            (choice(Some("z"), Some("z"), &[("spare", 7)]), Err("the input `spare` has 7 values")),
        ];
        for (choice, expected) in cases {
            let found = chosen(&choice);
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!((found.input().name, found.output().name), expected),
                (Err(error), Err(expected)) => assert!(error.to_string().starts_with(expected), "{error}"),
                (found, expected) => panic!("{choice:?}: {:?}, {expected:?}", found.map(|_| ())),
            }
        }
        // What the metadata names as the label is not the one.
        let backend = NativeBackend::from_bytes(&several_ports(false), &NativeOptions::default()).unwrap();
        let found = Chosen::new(backend, &choice(None, Some("z"), &[]), || Some("spare".into())).unwrap();
        assert_eq!(found.input().name, "z");
    }

    #[test]
    fn a_label_is_a_number_or_one_of_many_values() {
        let backend = chosen(&choice(Some("z"), Some("image"), &[])).unwrap();
        let label = Label::of(&backend, None, Some(10)).unwrap();
        assert_eq!((label.name.as_str(), label.classes, label.one_hot), ("label", Some(10), false));
        assert_eq!((label.values(9), label.values(10)), (Some(vec![9.0]), None));
        let label = Label { classes: None, ..label };
        assert_eq!((label.values(1 << 20), label.values(1 << 24)), (Some(vec![1_048_576.0]), None));
        let label = Label::of(&backend, Some("spare"), None).unwrap();
        assert_eq!((label.classes, label.one_hot), (Some(8), true));
        assert_eq!(label.values(2), Some(vec![0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]));
        assert_eq!(label.values(8), None);
        assert_eq!(Label::of(&backend, Some("nothing"), None), None);
    }

    #[test]
    fn what_is_given_goes_into_every_example_and_nothing_is_taken_for_zero() {
        let mut backend = chosen(&choice(Some("z"), Some("image"), &[("spare", 8)])).unwrap();
        let (z, mut image) = ([1.0, 0.0, 0.0, 1.0, 0.0, 0.0], [f32::NAN; 16]);
        let not_given = RunError::NotGiven { name: Name::new("label") };
        assert_eq!(backend.run(2, &z, &mut image), Err(not_given));
        backend.give("label", &[5.0]).unwrap();
        backend.run(2, &z, &mut image).unwrap();
        assert_eq!([image[0], image[7], image[8]], [6.0, 5.0, 6.0]);
        backend.give("label", &[2.0, 3.0]).unwrap();
        backend.run(2, &z, &mut image).unwrap();
        assert_eq!([image[0], image[7], image[8]], [3.0, 2.0, 4.0]);
        let error = backend.run(1, &z[..3], &mut image[..8]).unwrap_err().to_string();
        assert_eq!(error, "the input `label` has 2 values, but the batch needs 1");
        backend.give("label", &[0.5]).unwrap();
        let error = backend.run(1, &z[..3], &mut image[..8]).unwrap_err().to_string();
        assert!(error.contains("`label` takes whole numbers"), "{error}");
    }
}
