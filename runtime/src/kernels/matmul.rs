//! Matrix products: the check of all bounds, the division of the work among threads, and the walk over tiles. What a
//! tile computes is the instruction set's affair.

use super::epilogue::{Epilogue, Values, ValuesMut};
use super::geometry::{Geometry, OutOfBounds};
use super::tile::{MAX_ROWS, Pointers, Tile, TileKernel};
use super::{Engine, Isa, scalar};

/// Packed weights: blocks of 16 rows, `[block][k][16]`, int8 `[block][k / 4][16][4]`.
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
    let block_bytes = geometry.products() * super::geometry::BLOCK * weights.size();
    let pointers = Pointers::new(geometry, input, weights, epilogue, output);

    let part = |pixels: core::ops::Range<usize>, blocks: core::ops::Range<usize>| {
        let mut block = blocks.start;
        while block < blocks.end {
            let count = (blocks.end - block).min(max_blocks);
            let mut done = pixels.start;
            let mut pixel = geometry.pixel(done);
            while done < pixels.end {
                let rows = (pixels.end - done).min(max_rows);
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
                done += rows;
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
