//! Layers, their initialisation and their names.
