//! Matrix products: the check of all bounds, the division of the work among threads, and the walk over tiles. What a
//! tile computes is the instruction set's affair.

use super::epilogue::{Epilogue, Values, ValuesMut, quantise};
use super::geometry::{BLOCK, Geometry, OutOfBounds};
use super::tile::{MAX_ROWS, OutputPointer, Pointers, Tile, TileKernel};
use super::{Engine, Isa, scalar};

/// Packed weights: blocks of 16 rows, `[block][k][16]`, int8 `[block][k / 4][16][4]`; of at most [`super::geometry::NARROW`] rows
/// `[row][k]`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Weights<'a> {
    F32(&'a [f32]),
    F16(&'a [u16]),
    I8(&'a [i8]),
}

impl Weights<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::F32(weights) => weights.len(),
            Self::F16(weights) => weights.len(),
            Self::I8(weights) => weights.len(),
        }
    }

    pub(crate) fn size(&self) -> usize {
        match self {
            Self::F32(_) => 4,
            Self::F16(_) => 2,
            Self::I8(_) => 1,
        }
    }

    /// The weights from an element on.
    pub(crate) fn from(&self, start: usize) -> Option<Self> {
        Some(match self {
            Self::F32(weights) => Self::F32(weights.get(start..)?),
            Self::F16(weights) => Self::F16(weights.get(start..)?),
            Self::I8(weights) => Self::I8(weights.get(start..)?),
        })
    }
}

/// Fewer products than this are not worth waking another thread for.
const PARALLEL: usize = 1 << 16;
/// Chunks that each thread gets, so that one that is late does not hold up the others.
const CHUNKS: usize = 8;
/// Weights of so many bytes stay in one core's cache while pixels stream by.
const CACHED: usize = 256 << 10;

/// Computes a matrix product.
pub(crate) fn matmul(
    engine: &mut Engine,
    geometry: &Geometry,
    input: Values<'_>,
    weights: Weights<'_>,
    epilogue: &Epilogue<'_>,
    mut output: ValuesMut<'_>,
) -> Result<(), OutOfBounds> {
    let geometry = geometry.simplified();
    geometry.check(&input, &weights, epilogue, &output)?;
    if geometry.is_narrow() {
        narrow(engine, &geometry, &input, &weights, epilogue, output);
        return Ok(());
    }
    match engine.isa() {
        Isa::Scalar => {
            scalar::matmul::matmul(&geometry, &input, &weights, epilogue, &mut output);
            Ok(())
        }
        #[cfg(target_arch = "x86_64")]
        Isa::X86(isa) => drive(engine, isa, &geometry, &input, &weights, epilogue, output),
        #[cfg(target_arch = "aarch64")]
        Isa::Arm(isa) => drive(engine, isa, &geometry, &input, &weights, epilogue, output),
    }
}

/// A checked product with few outputs.
fn narrow(
    engine: &mut Engine,
    geometry: &Geometry,
    input: &Values<'_>,
    weights: &Weights<'_>,
    epilogue: &Epilogue<'_>,
    output: ValuesMut<'_>,
) {
    let isa = engine.isa();
    let (pixels, zero_point) = (geometry.pixels(), epilogue.zero_point);
    let target = Target(match output {
        ValuesMut::F32(output) => OutputPointer::F32(output.as_mut_ptr()),
        ValuesMut::U8(output) => OutputPointer::U8(output.as_mut_ptr()),
    });
    let part = |index: usize| {
        let first = geometry.pixel(index * BLOCK);
        let count = (pixels - index * BLOCK).min(BLOCK);
        let at = (first, count);
        let outputs = match isa {
            Isa::Scalar => {
                scalar::narrow::chunk(geometry, input, weights, epilogue, at, &scalar::narrow::Plain)
            }
            // SAFETY: `matmul` has checked the bounds.
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code)]
            Isa::X86(isa) => unsafe { isa.narrow(geometry, input, weights, epilogue, at) },
            #[cfg(target_arch = "aarch64")]
            Isa::Arm(isa) => isa.narrow(geometry, input, weights, epilogue, at),
        };
        let mut pixel = first;
        for lane in 0..count {
            for (channel, outputs) in outputs[..geometry.channels].iter().enumerate() {
                let to = geometry.output.at(pixel) + channel;
                // SAFETY: `geometry.check` has shown that every channel of every pixel lies in the output slice, which
                // this function holds exclusively; no two chunks have a pixel in common.
                #[allow(unsafe_code)]
                unsafe {
                    match target.get() {
                        OutputPointer::F32(output) => output.add(to).write(outputs[lane]),
                        OutputPointer::U8(output) => {
                            output.add(to).write(quantise(outputs[lane], zero_point))
                        }
                    }
                }
            }
            pixel = geometry.next(pixel);
        }
    };
    let chunks = pixels.div_ceil(BLOCK);
    if engine.threads() == 1 || pixels * geometry.channels * geometry.products() < PARALLEL {
        (0..chunks).for_each(part);
    } else {
        engine.parallel(chunks, &part);
    }
}

/// A pointer to the output that threads share.
struct Target(OutputPointer);

// SAFETY: it stands for an exclusive borrow that outlives its use, and threads write different elements.
#[allow(unsafe_code)]
unsafe impl Sync for Target {}

impl Target {
    fn get(&self) -> OutputPointer {
        self.0
    }
}

/// Walks over all tiles of a checked product.
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), allow(dead_code))]
fn drive<K: TileKernel>(
    engine: &mut Engine,
    kernel: K,
    geometry: &Geometry,
    input: &Values<'_>,
    weights: &Weights<'_>,
    epilogue: &Epilogue<'_>,
    output: ValuesMut<'_>,
) -> Result<(), OutOfBounds> {
    let (pixels, blocks) = (geometry.pixels(), geometry.blocks());
    let (max_rows, max_blocks) = kernel.tile(weights, pixels);
    let block_bytes = geometry.products() * BLOCK * weights.size();
    let pointers = Pointers::new(geometry, input, weights, epilogue, output);

    let part = |pixels: core::ops::Range<usize>, blocks: core::ops::Range<usize>| {
        let mut block = blocks.start;
        while block < blocks.end {
            let count = (blocks.end - block).min(max_blocks);
            let mut pixel = geometry.pixel(pixels.start);
            // Tiles of nearly equal size: a last one of a single pixel would be as slow as a whole one.
            let tiles = pixels.len().div_ceil(max_rows);
            for index in 0..tiles {
                let rows = pixels.len() * (index + 1) / tiles - pixels.len() * index / tiles;
                let mut tile = Tile {
                    pointers: &pointers,
                    rows,
                    block,
                    blocks: count,
                    block_bytes,
                    input: [0; MAX_ROWS],
                    output: [0; MAX_ROWS],
                    residual: [0; MAX_ROWS],
                };
                for row in 0..rows {
                    tile.input[row] = geometry.input.at(pixel);
                    tile.output[row] = geometry.output.at(pixel);
                    tile.residual[row] = geometry.residual.at(pixel);
                    pixel = geometry.next(pixel);
                }
                // SAFETY: `geometry.check` has shown that all offsets of all pixels and blocks lie in the slices behind
                // `pointers`, which live as long as this function; no two tiles write the same element, since their
                // pixels or blocks differ.
                #[allow(unsafe_code)]
                unsafe {
                    kernel.run(&tile);
                }
            }
            block += count;
        }
    };

    let threads = engine.threads();
    if threads == 1 || pixels * blocks * 16 * geometry.products() < PARALLEL {
        part(0..pixels, 0..blocks);
        return Ok(());
    }
    // Dividing the blocks reads every weight once; dividing the pixels, every input. Pixels only where the weights are
    // small or there are too few blocks.
    let by_pixels = pixels >= threads * max_rows && (blocks < threads || blocks * block_bytes <= CACHED);
    let (total, tile) = if by_pixels { (pixels, max_rows) } else { (blocks, max_blocks) };
    // A few chunks for each thread, of whole tiles if there are enough.
    let least = total.div_ceil(threads * CHUNKS);
    let size = if total >= threads * tile { least.next_multiple_of(tile) } else { least };
    engine.parallel(total.div_ceil(size), &|index| {
        let chunk = index * size..((index + 1) * size).min(total);
        if by_pixels {
            part(chunk, 0..blocks);
        } else {
            part(0..pixels, chunk);
        }
    });
    Ok(())
}
