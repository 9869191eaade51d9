//! Which of a run's checkpoints.

use std::fmt;
use std::path::{Path, PathBuf};

use latent_files::run::RunError;

use crate::checkpoint;

/// Which of a run's checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The newest.
    Last,
    /// The best one, or the newest if none was judged.
    Best,
    /// That of this iteration; 0 is that of the untrained network.
    Iteration(u64),
}

/// Why there is no such checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum WhichError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("{run} has no checkpoint {wanted}; it has {found}")]
    None {
        run: String,
        /// What was asked for.
        wanted: String,
        found: String,
    },
}

impl Which {
    /// The checkpoint of a run whose best iteration is `best`: iteration and folder.
    ///
    /// # Errors
    /// If there is none.
    pub fn of(self, run: &Path, best: Option<u64>) -> Result<(u64, PathBuf), WhichError> {
        let found = checkpoint::list(&run.join("checkpoints"))?;
        let chosen = match self {
            Self::Iteration(iteration) => found.iter().find(|(i, _)| *i == iteration),
            Self::Best => found.iter().find(|(i, _)| Some(*i) == best).or(found.last()),
            Self::Last => found.last(),
        };
        chosen.cloned().ok_or_else(|| {
            let names: Vec<String> = found.iter().map(|(iteration, _)| iteration.to_string()).collect();
            WhichError::None {
                run: run.display().to_string(),
                wanted: self.to_string(),
                found: if names.is_empty() { "none yet".to_owned() } else { names.join(", ") },
            }
        })
    }
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "last" => Ok(Self::Last),
            "best" => Ok(Self::Best),
            _ => text
                .parse()
                .map(Self::Iteration)
                .map_err(|_| "expected `last`, `best` or an iteration".to_owned()),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last => f.write_str("last"),
            Self::Best => f.write_str("best"),
            Self::Iteration(iteration) => write!(f, "{iteration}"),
        }
    }
}
