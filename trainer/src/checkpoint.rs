//! Checkpoints: weights, optimizer, random state and progress, exactly as they were.
