//! Elements in another order: transposes, slices, flips, shuffles, repetitions.

/// The most axes of a [`View`].
pub const VIEW_AXES: usize = 6;

/// One axis of a [`View`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewAxis {
    /// Its length.
    pub extent: usize,
    /// From element to element of the input; 0 repeats one, negative goes backwards.
    pub stride: isize,
}

impl ViewAxis {
    /// An axis that is not there.
    pub const ONE: Self = Self { extent: 1, stride: 0 };
}

/// Which element of the input each element of the output is, both counted in channel-first order: output element
/// `(i0, .., i5)`, row-major over [`axes`](Self::axes), is input element `start + i0 * stride0 + .. + i5 * stride5`.
///
/// Transposes, slices with any steps, repetitions and what is composed of them are all of this kind, as NumPy's strided
/// views are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The input element that comes first.
    pub start: usize,
    /// The output's axes, however they divide its channels, rows and columns; those that are not needed are
    /// [`ViewAxis::ONE`].
    pub axes: [ViewAxis; VIEW_AXES],
}

impl View {
    /// A view with these axes; `None` for more than [`VIEW_AXES`].
    pub fn new(start: usize, axes: &[ViewAxis]) -> Option<Self> {
        let mut all = [ViewAxis::ONE; VIEW_AXES];
        let from = VIEW_AXES.checked_sub(axes.len())?;
        all.get_mut(from..)?.copy_from_slice(axes);
        Some(Self { start, axes: all })
    }

    /// The number of elements of the output; `None` if it overflows.
    pub fn elements(&self) -> Option<usize> {
        self.axes.iter().try_fold(1usize, |count, axis| count.checked_mul(axis.extent))
    }

    /// Whether all elements exist in an input of so many.
    pub fn fits(&self, input: usize) -> bool {
        let Ok(start) = i64::try_from(self.start) else { return false };
        let reach = self.axes.iter().try_fold((start, start), |(low, high), axis| {
            let steps = i64::try_from(axis.extent.checked_sub(1)?).ok()?;
            let reach = steps.checked_mul(i64::try_from(axis.stride).ok()?)?;
            Some((low.checked_add(reach.min(0))?, high.checked_add(reach.max(0))?))
        });
        reach.is_some_and(|(low, high)| low >= 0 && u64::try_from(high).is_ok_and(|high| high < input as u64))
    }
}
