//! Einsum of one or two operands, taken apart into sums, transposes and a product.

use super::{NodeContext, Result};
use crate::graph::{Dim, Op, Reduce, ReduceKind, ValueId};

/// A value whose axes have letters.
#[derive(Debug, Clone)]
struct Lettered {
    value: ValueId,
    letters: Vec<char>,
}

/// The letters of each operand and of the result.
fn parsed(equation: &str) -> Option<(Vec<Vec<char>>, Vec<char>)> {
    let equation: String = equation.split_whitespace().collect();
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (equation.as_str(), None),
    };
    let operands: Vec<Vec<char>> = left.split(',').map(|letters| letters.chars().collect()).collect();
    let all: Vec<char> = operands.concat();
    let result = match right {
        Some(right) => right.chars().collect(),
        // Without it, the letters that occur once, in order.
        None => {
            let mut once = all.clone();
            once.retain(|letter| all.iter().filter(|other| *other == letter).count() == 1);
            once.sort_unstable();
            once
        }
    };
    let each_once = |letters: &[char]| (1..letters.len()).all(|at| !letters[..at].contains(&letters[at]));
    // A letter twice in an operand would be its diagonal.
    let is_plain = all.iter().chain(&result).all(char::is_ascii_alphabetic)
        && operands.iter().all(|letters| each_once(letters))
        && each_once(&result)
        && result.iter().all(|letter| all.contains(letter));
    is_plain.then_some((operands, result))
}

/// Sums over the axes whose letters are not among `needed`.
fn summed(node: &mut NodeContext, operand: Lettered, needed: &[char]) -> Result<Lettered> {
    let is_needed = |letter: &char| needed.contains(letter);
    let axes: Vec<usize> =
        (0..operand.letters.len()).filter(|&axis| !is_needed(&operand.letters[axis])).collect();
    if axes.is_empty() {
        return Ok(operand);
    }
    let sum = Op::Reduce(Reduce { kind: ReduceKind::Sum, axes, keep: false });
    let value = node.step(sum, vec![operand.value])?;
    Ok(Lettered { value, letters: operand.letters.into_iter().filter(is_needed).collect() })
}

/// The same with its axes in the order of `letters`, which are its own.
fn ordered(node: &mut NodeContext, operand: &Lettered, letters: &[char]) -> Result<ValueId> {
    if operand.letters == letters {
        return Ok(operand.value);
    }
    let place = |letter: &char| operand.letters.iter().position(|other| other == letter);
    let permutation = letters.iter().filter_map(place).collect();
    node.step(Op::Transpose(permutation), vec![operand.value])
}

/// Makes one axis of all from `first` to before `end`, where they are not one already.
fn joined(node: &mut NodeContext, value: ValueId, first: usize, end: usize) -> Result<ValueId> {
    let dims = node.dims(value);
    if end == first + 1 {
        return Ok(value);
    }
    let lengths = dims[first..end].iter().map(|dim| match dim {
        Dim::Size(length) => Ok(*length),
        Dim::Batch => Err(node.error("it joins the batch with other axes, which is not supported")),
    });
    let length = lengths.product::<Result<usize>>()?;
    let target = [&dims[..first], &[Dim::Size(length)], &dims[end..]].concat();
    node.step(Op::Reshape(target), vec![value])
}

pub(super) fn einsum(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    let equation = node.attributes.text("equation")?.unwrap_or_default().to_string();
    let Some((operands, result)) =
        parsed(&equation).filter(|(operands, _)| operands.len() == node.input_count())
    else {
        let what =
            format!("is \"{equation}\"; only letters, each once in an operand, of one or two are supported");
        return Err(node.attributes.error("equation", what));
    };
    let mut values = Vec::with_capacity(operands.len());
    for (index, letters) in operands.into_iter().enumerate() {
        node.check_finite(index)?;
        let value = node.input(index)?;
        let rank = node.dims(value).len();
        if rank != letters.len() {
            let what = format!("is \"{equation}\", but operand {index} has {rank} axes");
            return Err(node.attributes.error("equation", what));
        }
        values.push(Lettered { value, letters });
    }
    let (a, b) = match <[Lettered; 2]>::try_from(values) {
        Ok([a, b]) => {
            let needed = |other: &Lettered| [&*other.letters, &*result].concat();
            let (of_a, of_b) = (needed(&b), needed(&a));
            (summed(node, a, &of_a)?, summed(node, b, &of_b)?)
        }
        Err(values) => {
            let Some(operand) = values.into_iter().next() else {
                return Err(node.error("it has no operand"));
            };
            let operand = summed(node, operand, &result)?;
            let value = ordered(node, &operand, &result)?;
            node.alias(value);
            return Ok(());
        }
    };
    // The axes of the product: those of both that stay, those of one, and those that are summed over.
    let of = |letters: &[char], with: &Lettered, stays: bool, both: bool| -> Vec<char> {
        let fits =
            |letter: &&char| result.contains(*letter) == stays && with.letters.contains(*letter) == both;
        letters.iter().filter(fits).copied().collect()
    };
    let common = of(&a.letters, &b, true, true);
    let (rows, columns) = (of(&a.letters, &b, true, false), of(&b.letters, &a, true, false));
    let over = of(&a.letters, &b, false, true);
    let (first, second) = ([&*common, &rows, &over].concat(), [&*common, &over, &columns].concat());
    let (mut left, mut right) = (ordered(node, &a, &first)?, ordered(node, &b, &second)?);
    let lengths = [
        node.dims(left)[common.len()..first.len() - over.len()].to_vec(),
        node.dims(right)[common.len() + over.len()..].to_vec(),
    ];
    let leading = node.dims(left)[..common.len()].to_vec();
    // From the last axes on, so that the places of those before stay.
    left = joined(node, left, common.len() + rows.len(), first.len())?;
    if !common.is_empty() || rows.is_empty() {
        left = joined(node, left, common.len(), common.len() + rows.len())?;
    }
    right = joined(node, right, common.len() + over.len(), second.len())?;
    right = joined(node, right, common.len(), common.len() + over.len())?;
    let product = node.step(Op::MatMul, vec![left, right])?;
    let target = [leading, lengths.concat()].concat();
    let apart =
        if node.dims(product) == target { product } else { node.step(Op::Reshape(target), vec![product])? };
    let product = Lettered { value: apart, letters: [common, rows, columns].concat() };
    let value = ordered(node, &product, &result)?;
    node.alias(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::parsed;

    #[test]
    fn equations_have_letters() {
        let letters = |text: &str| -> Vec<char> { text.chars().collect() };
        let cases = [
            ("bhdi,bhdj->bhij", Some((vec!["bhdi", "bhdj"], "bhij"))),
            (" ij , jk ", Some((vec!["ij", "jk"], "ik"))),
            ("cba", Some((vec!["cba"], "abc"))),
            ("ij->", Some((vec!["ij"], ""))),
            ("ii->i", None),
            ("...ij,jk->...ik", None),
            ("ij,jk->il", None),
            ("ij->ii", None),
        ];
        for (equation, expected) in cases {
            let expected = expected.map(|(operands, result)| {
                (operands.into_iter().map(letters).collect::<Vec<_>>(), letters(result))
            });
            assert_eq!(parsed(equation), expected, "{equation}");
        }
    }
}
