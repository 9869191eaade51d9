//! What a model is, in JSON.

use core::fmt::{self, Display, Formatter, Write};

use latent_runtime::format::{Model, ModelKind, Port, PortType};
use latent_runtime::image_encoding::{Facts, ImageShape};
use latent_runtime::native::instruction_set;

/// A model as a JSON object: `kind`, `precision`, `latent` (values of a latent vector), `distribution`, `range`, `picture`
/// (width, height, channels of the first output), `inputs` and `outputs` (name, shape without the batch axis, whether they are whole numbers), `arena` (bytes), `products`
/// (multiplications of a run), `instructions`, `metadata`. Floats are their bits, as integers: formatting them would
/// take more room than all of the rest.
pub(crate) struct Description<'a>(pub(crate) &'a Model<'static>);

impl Display for Description<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let model = self.0;
        let kind = match model.kind() {
            ModelKind::Generator => "generator",
            ModelKind::Discriminator => "discriminator",
            ModelKind::Encoder => "encoder",
            ModelKind::Other => "other",
        };
        let operators = (0..model.operators_len()).filter_map(|index| model.operator(index));
        let products: u64 = operators.map(|operator| operator.multiply_accumulates()).sum();
        write!(f, "{{\"kind\":\"{kind}\",\"precision\":\"{}\",", model.precision().name())?;
        write!(f, "\"latent\":{},\"arena\":{},", model.latent_size(), model.arena_len(1).unwrap_or(0))?;
        write!(f, "\"products\":{products},\"instructions\":{},", Quoted(instruction_set()))?;
        match model.distribution().map(|distribution| distribution.parts()) {
            None => f.write_str("\"distribution\":null,")?,
            Some((name, a, b)) => {
                write!(f, "\"distribution\":[{},{},{}],", Quoted(name), a.to_bits(), b.to_bits())?;
            }
        }
        match model.range() {
            None => f.write_str("\"range\":null,")?,
            Some(range) => write!(f, "\"range\":[{},{}],", range.low().to_bits(), range.high().to_bits())?,
        }
        let facts = Facts::of(model);
        let shape = ImageShape::of(facts.output, facts.image).map(|(shape, _)| shape).or(facts.image);
        let is_picture = |shape: &ImageShape| {
            let pixels = shape.height.checked_mul(shape.width);
            facts.gives_images()
                && matches!(shape.channels, 1 | 3)
                && pixels.and_then(|pixels| pixels.checked_mul(shape.channels))
                    == Some(facts.output.iter().product())
        };
        match shape.filter(is_picture) {
            None => f.write_str("\"picture\":null,")?,
            Some(ImageShape { channels, height, width }) => {
                write!(f, "\"picture\":{{\"width\":{width},\"height\":{height},\"channels\":{channels}}},")?
            }
        }
        f.write_str("\"inputs\":")?;
        list(f, "[]", model.inputs(), port)?;
        f.write_str(",\"outputs\":")?;
        list(f, "[]", model.outputs(), port)?;
        f.write_str(",\"metadata\":")?;
        list(f, "{}", model.metadata(), |f, (key, value)| write!(f, "{}:{}", Quoted(key), Quoted(value)))?;
        f.write_char('}')
    }
}

fn port(f: &mut Formatter<'_>, port: Port<'_>) -> fmt::Result {
    let info = port.info();
    write!(f, "{{\"name\":{},\"whole\":{},\"shape\":", Quoted(info.name), info.kind == PortType::Integer)?;
    list(f, "[]", info.shape.iter(), |f, extent| write!(f, "{extent}"))?;
    f.write_char('}')
}

/// Items with commas between them, in brackets.
fn list<T>(
    f: &mut Formatter<'_>,
    brackets: &str,
    items: impl Iterator<Item = T>,
    mut each: impl FnMut(&mut Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    let (open, close) = brackets.split_at(1);
    f.write_str(open)?;
    for (index, item) in items.enumerate() {
        if index > 0 {
            f.write_char(',')?;
        }
        each(f, item)?;
    }
    f.write_str(close)
}

/// A JSON string.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for letter in self.0.chars() {
            match letter {
                '"' | '\\' => write!(f, "\\{letter}")?,
                '\0'..='\u{1f}' => write!(f, "\\u{:04x}", u32::from(letter))?,
                _ => f.write_char(letter)?,
            }
        }
        f.write_char('"')
    }
}
