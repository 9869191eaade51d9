//! What `build.rs` is for: a binary of this package finds libtorch by itself, and has its CUDA half loaded where there is one.

#[test]
fn libtorch_is_found_and_computes() {
    let tensor = tch::Tensor::from_slice(&[1f32, 2.0, 3.5]);
    assert_eq!(tensor.sum(tch::Kind::Float).double_value(&[]), 6.5);
}

#[cfg(target_os = "linux")]
#[test]
fn the_cuda_half_is_loaded_where_libtorch_has_one() {
    // libtorch_cpu is mapped from the folder libtorch was found in; its neighbor must be mapped as well if it exists.
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc/self/maps");
    let path_of = |name: &str| {
        maps.lines()
            .filter_map(|line| {
                line.split_once('/').map(|(_, rest)| std::path::PathBuf::from(format!("/{rest}")))
            })
            .find(|path| path.file_name().is_some_and(|file| file == name))
    };
    let cpu = path_of("libtorch_cpu.so").expect("libtorch_cpu.so is mapped");
    let neighbor = cpu.with_file_name("libtorch_cuda.so");
    assert_eq!(path_of("libtorch_cuda.so").is_some(), neighbor.is_file(), "{}", neighbor.display());
}
