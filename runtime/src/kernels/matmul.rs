//! Matrix products: the check of all bounds, the division of the work among threads, and the walk over tiles. What a
//! tile computes is the instruction set's affair.

use core::ops::Range;

#[cfg(any(embedded, all(test, feature = "std")))]
use super::embedded;
#[cfg(any(embedded, all(test, feature = "std")))]
use super::epilogue::quantize_at_least;
use super::epilogue::{Epilogue, quantize};
use super::expand::expand;
use super::geometry::{Geometry, OutOfBounds, Strides};
#[cfg(any(embedded, all(test, feature = "std")))]
use super::math::max;
#[cfg(any(scalar, test))]
use super::scalar;
use super::scratch::Regions;
use super::tile::{MAX_ROWS, OutputPointer, Pointers, Tile, TileKernel};
use super::values::{Values, ValuesMut};
use super::{Engine, Isa};
use crate::features;
use crate::ops::{BLOCK, PackedWeights, WeightType, expanded_rows};

/// The output of a layer and how its parts divide it: part (y, x, group) computes pixels (y + n · `steps[0]`,
/// x + m · `steps[1]`) and the group's channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) batch: usize,
    /// Output rows.
    pub(crate) height: usize,
    /// Output columns.
    pub(crate) width: usize,
    /// Output channels of a group.
    pub(crate) channels: usize,
    /// The phases along rows and columns: 1 but for transposed convolutions.
    pub(crate) steps: [usize; 2],
    pub(crate) groups: usize,
    /// Where output pixels lie.
    pub(crate) output: Strides,
    /// Where the residual's lie.
    pub(crate) residual: Strides,
}

/// Which part of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Row phase and column phase.
    pub(crate) phase: [usize; 2],
    pub(crate) group: usize,
}

/// One of the products that a layer consists of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    /// Taps, depth and where they lie.
    pub(crate) taps: [usize; 2],
    pub(crate) tap: [usize; 2],
    pub(crate) depth: usize,
    pub(crate) input: Strides,
    pub(crate) weights: PackedWeights<'a>,
    pub(crate) epilogue: Epilogue<'a>,
}

impl Layout {
    fn parts(&self) -> usize {
        self.steps[0] * self.steps[1] * self.groups
    }

    fn place(&self, index: usize) -> Place {
        let (phases, group) = (index / self.groups, index % self.groups);
        Place { phase: [phases / self.steps[1], phases % self.steps[1]], group }
    }

    /// Whether no two pixels share memory; then no two parts do.
    fn is_disjoint(&self) -> Option<bool> {
        let Strides { example, row, column, .. } = self.output;
        let pixel = self.groups.checked_mul(self.channels)?;
        let line = (self.width.checked_sub(1)?).checked_mul(column)?.checked_add(pixel)?;
        let image = (self.height.checked_sub(1)?).checked_mul(row)?.checked_add(line)?;
        Some(
            (self.width == 1 || pixel <= column)
                && (self.height == 1 || line <= row)
                && (self.batch == 1 || image <= example),
        )
    }

    /// The geometry of the only part of a layer, as it is.
    pub(crate) fn direct(&self, place: Place, part: &Part<'_>) -> Result<Geometry, OutOfBounds> {
        if self.parts() != 1 || self.is_disjoint() != Some(true) {
            return Err(OutOfBounds);
        }
        Ok(self.divided(place, part))
    }

    /// The geometry of a part, taps joined where they can be.
    fn geometry(&self, place: Place, part: &Part<'_>) -> Geometry {
        self.divided(place, part).simplified()
    }

    fn divided(&self, place: Place, part: &Part<'_>) -> Geometry {
        let [y, x] = place.phase;
        let within = |mut strides: Strides| {
            strides.offset += y * strides.row + x * strides.column + place.group * self.channels;
            strides.row *= self.steps[0];
            strides.column *= self.steps[1];
            strides
        };
        Geometry {
            batch: self.batch,
            height: self.height.saturating_sub(y).div_ceil(self.steps[0]),
            width: self.width.saturating_sub(x).div_ceil(self.steps[1]),
            taps: part.taps,
            tap: part.tap,
            depth: part.depth,
            input: part.input,
            output: within(self.output),
            residual: within(self.residual),
            channels: self.channels,
            blocked: false,
        }
    }
}

/// Fewer products than this, of weights of a byte, are not worth another thread: a microsecond's work. Those of larger
/// weights take longer, and so do those with few outputs. Tests divide all but the smallest.
const PARALLEL: usize = if cfg!(test) { 1 << 10 } else { 1 << 18 };
/// How much longer products with few outputs take.
const NARROW_COST: usize = 4;
/// Chunks that each thread gets, so that one that is late does not hold up the others.
const CHUNKS: usize = 4;
/// Shares are whole tiles where tiles have up to so many blocks; larger ones are cut, so that shares are equal.
const SHARED_BLOCKS: usize = 4;
/// Weights of so many bytes stay in one core's cache while pixels stream by.
const CACHED: usize = 256 << 10;

/// Computes a layer: all its parts, which `part` describes. Weights of 4 bits are expanded in scratch memory, of which each
/// thread needs a part; threads without stay idle.
pub(crate) fn matmul<'a>(
    engine: &mut Engine,
    layout: &Layout,
    part: &(dyn Fn(Place) -> Result<Part<'a>, OutOfBounds> + Sync),
    input: Values<'_>,
    mut output: ValuesMut<'_>,
    scratch: &mut [f32],
) -> Result<(), OutOfBounds> {
    if layout.parts() == 0 || layout.is_disjoint() != Some(true) {
        return Err(OutOfBounds);
    }
    let isa = engine.isa();
    // An error that a part would meet comes before anything is written.
    let check = |index: usize, output: &(bool, usize)| {
        let place = layout.place(index);
        let part = part(place)?;
        let geometry = layout.geometry(place, &part);
        geometry.check(&input, &part.weights, &part.epilogue, output).map(|()| (part, geometry))
    };
    let target = Target::new(&mut output);
    let first = check(0, &target.shape())?;
    let (mut work, mut expanded) = (0usize, 0);
    for index in 0..layout.parts() {
        let (_, geometry) = if index == 0 { first } else { check(index, &target.shape())? };
        work = work.saturating_add(geometry.pixels() * geometry.weight_rows() * geometry.products());
        if features::INT4 && first.0.weights.weight_type() == WeightType::I4 {
            let (rows, products) = (geometry.weight_rows(), geometry.products());
            expanded = expanded.max(expanded_rows(rows, products) * products);
        }
    }
    let regions = Regions::new(scratch, expanded.div_ceil(size_of::<f32>()).next_multiple_of(BLOCK));
    if regions.count() == 0 {
        return Err(OutOfBounds);
    }
    let cost = first.0.weights.weight_type().size() * if first.1.is_narrow() { NARROW_COST } else { 1 };
    let few = work.saturating_mul(cost) < PARALLEL || regions.count() < engine.threads();
    let threads = if few { 1 } else { engine.threads() };
    let chunks = if threads == 1 { 1 } else { (threads * CHUNKS).div_ceil(layout.parts()) };
    let run = |thread: usize, index: usize| {
        // Other parts than the first are looked up and checked again rather than kept: there is no allocator.
        let found = if index < chunks { Ok(first) } else { check(index / chunks, &target.shape()) };
        let Ok((part, geometry)) = found else { return };
        let share =
            Share { index: index % chunks, count: chunks, threads: threads.min(chunks), pixels: false };
        match part.weights {
            PackedWeights::I4 { .. } if features::INT4 => {
                // SAFETY: each thread asks for the region of its number.
                #[allow(unsafe_code)]
                let scratch = unsafe { regions.of(thread) };
                expanding(isa, &geometry, &input, &part, &target, share, bytemuck::cast_slice_mut(scratch));
            }
            _ => product(isa, &geometry, &input, &part, &target, share),
        }
    };
    if threads == 1 {
        (0..layout.parts()).for_each(|index| run(0, index));
    } else {
        engine.parallel(layout.parts() * chunks, &run);
    }
    Ok(())
}

/// A share of a checked product.
fn product(
    isa: Isa,
    geometry: &Geometry,
    input: &Values<'_>,
    part: &Part<'_>,
    target: &Target<'_>,
    share: Share,
) {
    #[cfg(any(embedded, all(test, feature = "std")))]
    #[cfg_attr(not(test), expect(irrefutable_let_patterns, reason = "the only kind that a device has"))]
    if let Isa::Embedded(unit) = isa {
        let pixels = share.of(geometry.pixels(), 1);
        return embedded::product(unit, geometry, input, &part.weights, &part.epilogue, pixels, target);
    }
    #[cfg(any(not(embedded), test))]
    if geometry.is_narrow() {
        narrow(isa, geometry, input, part, target, share);
        return;
    }
    match isa {
        // Done above.
        #[cfg(any(embedded, all(test, feature = "std")))]
        Isa::Embedded(_) => {}
        #[cfg(any(scalar, test))]
        Isa::Scalar => scalar::matmul::matmul(
            geometry,
            input,
            &part.weights,
            &part.epilogue,
            share.of(geometry.pixels(), 1),
            &mut |at, y| target.write(at, y, part.epilogue.zero_point),
        ),
        #[cfg(target_arch = "x86_64")]
        Isa::X86(isa) => drive(isa, geometry, input, part, target, share),
        #[cfg(target_arch = "aarch64")]
        Isa::Arm(isa) => drive(isa, geometry, input, part, target, share),
        #[cfg(target_feature = "simd128")]
        Isa::Wasm(isa) => drive(isa, geometry, input, part, target, share),
    }
}

/// A share of a checked product with weights of 4 bits: some blocks of them at a time become bytes, which are multiplied as
/// any. Threads divide the blocks, so that each is expanded once, or the pixels where there are few blocks; each then
/// expands all.
fn expanding(
    isa: Isa,
    geometry: &Geometry,
    input: &Values<'_>,
    part: &Part<'_>,
    target: &Target<'_>,
    share: Share,
    scratch: &mut [i8],
) {
    let PackedWeights::I4 { codebook, indexes } = part.weights else { return };
    let (rows, products) = (geometry.weight_rows(), geometry.products());
    let by_pixels = geometry.blocks() < share.threads || geometry.is_narrow();
    let blocks = if by_pixels { 0..geometry.blocks() } else { share.of(geometry.blocks(), 1) };
    let share = if by_pixels {
        Share { pixels: true, ..share }
    } else {
        Share { index: 0, count: 1, threads: 1, pixels: true }
    };
    let most = expanded_rows(rows, products).div_ceil(BLOCK);
    for block in blocks.clone().step_by(most) {
        let some = block..(block + most).min(blocks.end);
        let first = block * BLOCK;
        let count = (rows - first).min(some.len() * BLOCK) * products;
        let (Some(weights), Some(indexes), Some(epilogue)) =
            (scratch.get_mut(..count), indexes.get(first * products / 2..), part.epilogue.from(first))
        else {
            return;
        };
        expand(isa, codebook, indexes, weights);
        let expanded = Part { weights: PackedWeights::I8(weights), epilogue, ..*part };
        product(isa, &geometry.part(some), input, &expanded, target, share);
    }
}

/// One of several equal shares of something.
#[derive(Clone, Copy)]
struct Share {
    index: usize,
    count: usize,
    threads: usize,
    /// Whether it is the pixels that are shared, whatever there are.
    pixels: bool,
}

impl Share {
    /// This share of `total`, in whole units unless they are too few for all threads. May be empty.
    fn of(&self, total: usize, unit: usize) -> Range<usize> {
        let unit = unit.min(total.div_ceil(self.threads)).max(1);
        let units = total.div_ceil(unit);
        let at = |index: usize| (units * index / self.count * unit).min(total);
        at(self.index)..at(self.index + 1)
    }
}

/// The output, which threads share: a pointer and what it points to.
pub(crate) struct Target<'a> {
    pointer: OutputPointer,
    length: usize,
    slice: core::marker::PhantomData<&'a mut ()>,
}

// SAFETY: it stands for an exclusive borrow; threads write different elements (`Layout::is_disjoint`).
#[allow(unsafe_code)]
unsafe impl Sync for Target<'_> {}

impl<'a> Target<'a> {
    pub(crate) fn new(output: &'a mut ValuesMut<'_>) -> Self {
        let length = output.len();
        let pointer = match output {
            ValuesMut::F32(output) => OutputPointer::F32(output.as_mut_ptr()),
            ValuesMut::U8(output) => OutputPointer::U8(output.as_mut_ptr()),
        };
        Self { pointer, length, slice: core::marker::PhantomData }
    }

    /// Where the output begins.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn pointer(&self) -> OutputPointer {
        self.pointer
    }

    /// Writes some channels of a float output; nothing if they lie outside.
    #[inline(always)]
    pub(crate) fn write_floats(&self, at: usize, block: &[f32; BLOCK], lanes: usize) {
        let OutputPointer::F32(output) = self.pointer else { return };
        if lanes > BLOCK || at.checked_add(lanes).is_none_or(|end| end > self.length) {
            return;
        }
        // SAFETY: the elements lie in the slice that this stands for, and only this thread writes them.
        #[allow(unsafe_code)]
        unsafe {
            core::ptr::copy_nonoverlapping(block.as_ptr(), output.add(at), lanes);
        }
    }

    /// Writes the first of some channels, where less than `least` limited to it; nothing if they lie outside.
    #[cfg(any(embedded, all(test, feature = "std")))]
    #[inline(always)]
    pub(crate) fn write_at_least<const N: usize>(
        &self,
        least: f32,
        at: usize,
        count: usize,
        channels: &[f32; N],
        zero_point: u8,
    ) {
        if count > N || at.checked_add(count).is_none_or(|end| end > self.length) {
            return;
        }
        // SAFETY: the elements lie in the slice that this stands for, and only this thread writes them.
        #[allow(unsafe_code)]
        unsafe {
            match self.pointer {
                OutputPointer::F32(output) => {
                    let limited = channels.map(|y| max(y, least));
                    core::ptr::copy_nonoverlapping(limited.as_ptr(), output.add(at), count);
                }
                OutputPointer::U8(output) => {
                    let least = max(least, -f32::from(zero_point));
                    let bytes = channels.map(|y| quantize_at_least(least, y, zero_point));
                    if count == N {
                        output.add(at).cast::<[u8; N]>().write(bytes);
                    } else {
                        core::ptr::copy_nonoverlapping(bytes.as_ptr(), output.add(at), count);
                    }
                }
            }
        }
    }

    /// The output's type and length.
    fn shape(&self) -> (bool, usize) {
        (matches!(self.pointer, OutputPointer::U8(_)), self.length)
    }

    /// Writes an element; nothing if it lies outside.
    #[inline(always)]
    pub(crate) fn write(&self, at: usize, y: f32, zero_point: u8) {
        if at >= self.length {
            return;
        }
        // SAFETY: the element lies in the slice that this stands for, and only this thread writes it.
        #[allow(unsafe_code)]
        unsafe {
            match self.pointer {
                OutputPointer::F32(output) => output.add(at).write(y),
                OutputPointer::U8(output) => output.add(at).write(quantize(y, zero_point)),
            }
        }
    }
}

/// A share of a checked product with few outputs.
#[cfg(any(not(embedded), test))]
fn narrow(
    isa: Isa,
    geometry: &Geometry,
    input: &Values<'_>,
    part: &Part<'_>,
    target: &Target<'_>,
    share: Share,
) {
    let pixels = geometry.pixels();
    let (weights, epilogue) = (&part.weights, &part.epilogue);
    for chunk in share.of(pixels.div_ceil(BLOCK), 1) {
        let first = geometry.pixel(chunk * BLOCK);
        let count = (pixels - chunk * BLOCK).min(BLOCK);
        let at = (first, count);
        let outputs = match isa {
            #[cfg(any(embedded, all(test, feature = "std")))]
            Isa::Embedded(_) => return,
            #[cfg(any(scalar, test))]
            Isa::Scalar => {
                scalar::narrow::chunk(geometry, input, weights, epilogue, at, &scalar::narrow::Plain)
            }
            // SAFETY: `matmul` has checked the bounds.
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code)]
            Isa::X86(isa) => unsafe { isa.narrow(geometry, input, weights, epilogue, at) },
            #[cfg(target_arch = "aarch64")]
            Isa::Arm(isa) => isa.narrow(geometry, input, weights, epilogue, at),
            #[cfg(target_feature = "simd128")]
            Isa::Wasm(isa) => isa.narrow(geometry, input, weights, epilogue, at),
        };
        geometry.runs(first, count, |lane, pixel, run| {
            let to = geometry.output.at(pixel);
            for (channel, outputs) in outputs[..geometry.channels].iter().enumerate() {
                for (n, &y) in outputs[lane..lane + run].iter().enumerate() {
                    target.write(to + channel + n * geometry.output.column, y, epilogue.zero_point);
                }
            }
        });
    }
}

/// Walks over the tiles of a share of a checked product.
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64", target_feature = "simd128")),
    allow(dead_code)
)]
fn drive<K: TileKernel>(
    kernel: K,
    geometry: &Geometry,
    input: &Values<'_>,
    part: &Part<'_>,
    target: &Target<'_>,
    share: Share,
) {
    let (mut pixels, mut blocks) = (0..geometry.pixels(), 0..geometry.blocks());
    let (max_rows, max_blocks) = kernel.tile(&part.weights, pixels.len());
    let block_bytes = geometry.products() * BLOCK * part.weights.weight_type().size();
    // Dividing the blocks reads every weight once; dividing the pixels, every input. Pixels only where the weights are
    // small or there are too few blocks.
    let by_pixels = share.pixels
        || pixels.len() >= 2 * share.threads * max_rows
            && (blocks.len() < share.threads || blocks.len() * block_bytes <= CACHED);
    if by_pixels {
        pixels = share.of(pixels.len(), max_rows);
    } else {
        blocks = share.of(blocks.len(), max_blocks.min(SHARED_BLOCKS));
    }
    let pointers = Pointers::new(geometry, input, &part.weights, &part.epilogue, target.pointer);
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
            // `pointers`, which outlive this function; no two tiles write the same element, since their pixels or blocks
            // differ and `Layout::is_disjoint` holds.
            #[allow(unsafe_code)]
            unsafe {
                kernel.run(&tile);
            }
        }
        block += count;
    }
}
