//! Reports: metrics, event files, plots, image grids, progress.
