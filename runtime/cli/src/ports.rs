//! Models with several inputs or outputs: `--output NAME`, `--input NAME=VALUES`, `--label CLASS`.

use std::path::Path;

use clap::Args;
use latent_files::given::{Given, GivenError};
use latent_runtime::backend::{Backend, inputs};
use latent_runtime::onnx::ModelMetadata;
use latent_runtime::open::{BackendKind, Choice, ChoiceError, Label, OpenError, OpenOptions, open};

use super::usage;

/// Which inputs and outputs a model is run with.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PortArgs {
    /// The output that is wanted, of a model with several
    #[arg(long, value_name = "NAME")]
    pub(crate) output: Option<String>,
    /// What goes into another input than that of the images, of a model with several: numbers, or a file of them (.npy, .f32,
    /// .bin, .raw); the same for every image
    #[arg(long = "input", value_name = "NAME=NUMBERS|NAME=FILE")]
    pub(crate) inputs: Vec<String>,
}

impl PortArgs {
    /// The choice that these are.
    pub(crate) fn choice(&self) -> anyhow::Result<Choice> {
        let given = Given::read_all(&self.inputs).map_err(|error| match error {
            GivenError::Unnamed(_) => usage!("{error}"),
            error => error.into(),
        })?;
        Ok(Choice { input: None, output: self.output.clone(), given })
    }

    /// The same as arguments.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let output = self.output.iter().map(|name| format!("--output={name}"));
        output.chain(self.inputs.iter().map(|input| format!("--input={input}"))).collect()
    }
}

/// Opens a model about one of its outputs; inputs that are given by name are not the one of the examples, unless no other is
/// left: then the first of them is, and returned.
pub(crate) fn open_given(
    path: &Path,
    kind: BackendKind,
    (threads, output): (usize, Option<&str>),
    given: &mut Vec<Given>,
) -> anyhow::Result<(Box<dyn Backend>, Option<Given>)> {
    // What is given to single examples comes later, before each run.
    let named = |given: &Given| (given.name.clone(), given.values.clone());
    let mut choice =
        Choice { input: None, output: output.map(Into::into), given: given.iter().map(named).collect() };
    let options = |choice: &Choice| OpenOptions { threads, choice: choice.clone() };
    match open(path, kind, &options(&choice)) {
        Err(OpenError::Choice { source, .. })
            if matches!(*source, ChoiceError::NoneLeft { .. }) && !given.is_empty() =>
        {
            let main = given.remove(0);
            choice.given.remove(0);
            choice.input = Some(main.name.clone());
            Ok((open(path, kind, &options(&choice))?, Some(main)))
        }
        result => Ok((result?, None)),
    }
}

/// The label of a model, if it has one.
pub(crate) fn label(backend: &dyn Backend, metadata: &ModelMetadata) -> Option<Label> {
    Label::of(backend, metadata.label.as_deref(), metadata.classes)
}

/// Adds the classes of `--label` to what is given.
///
/// # Errors
/// If the model has no label, a class is out of range, or the model has a label that nothing is said of.
pub(crate) fn give_classes(
    path: &Path,
    (backend, metadata): (&dyn Backend, &ModelMetadata),
    classes: &[usize],
    given: &mut Vec<Given>,
) -> anyhow::Result<()> {
    let path = path.display();
    let Some(label) = label(backend, metadata) else {
        if classes.is_empty() {
            return Ok(());
        }
        return Err(usage!("--label is for models that take a class; {path} takes {}", all_inputs(backend)));
    };
    let is_given = given.iter().any(|given| given.name == label.name);
    let which = match label.classes {
        Some(classes) => format!("0 to {}", classes.saturating_sub(1)),
        None => "a number".into(),
    };
    match (classes, is_given) {
        ([], true) => return Ok(()),
        ([], false) => {
            return Err(usage!(
                "{path} takes a class by its input `{}`: give --label ({which}), or several with commas between them",
                label.name
            ));
        }
        (_, true) => {
            return Err(usage!("--label and --input {}=... are two values for one input", label.name));
        }
        _ => {}
    }
    let mut values = Vec::new();
    for &class in classes {
        let of_one = label.values(class);
        values.extend(of_one.ok_or_else(|| usage!("--label {class}: {path} has the classes {which}"))?);
    }
    given.push(Given { name: label.name, values });
    Ok(())
}

/// Whether everything is given that the model takes beside the examples.
pub(crate) fn check_given(path: &Path, backend: &dyn Backend, given: &[String]) -> anyhow::Result<()> {
    let main = backend.input();
    match inputs(backend).find(|info| info.name != main.name && !given.iter().any(|name| name == info.name)) {
        Some(missing) => Err(usage!(
            "{} takes {missing}, too: give it with --input {}=NUMBERS or --input {}=FILE.npy",
            path.display(),
            missing.name,
            missing.name
        )),
        None => Ok(()),
    }
}

fn all_inputs(backend: &dyn Backend) -> String {
    inputs(backend).map(|info| info.to_string()).collect::<Vec<_>>().join(" and ")
}

/// Gives the examples of one run, from example `from` on, what belongs to them.
pub(crate) fn give(
    backend: &mut dyn Backend,
    given: &[Given],
    from: usize,
    count: usize,
) -> anyhow::Result<()> {
    for Given { name, values } in given {
        let each = inputs(backend).find(|info| info.name == name).map_or(1, |info| info.values()).max(1);
        let all: Vec<&[f32]> = values.chunks(each).collect();
        if let [one] = all.as_slice() {
            backend.give(name, one)?;
            continue;
        }
        let of_run: Vec<f32> =
            (from..from + count).flat_map(|index| all[index % all.len()]).copied().collect();
        backend.give(name, &of_run)?;
    }
    Ok(())
}
