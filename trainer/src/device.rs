//! Choice of the device.
