//! The run folder and its `run.json`.
