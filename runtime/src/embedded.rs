//! Models inside a program: `model!`.

use crate::format::Model;
use crate::native::Session;
use crate::{Arena, Error};

/// Puts a packed model into the program, aligned, as the contents of a module:
///
/// ```
/// mod digits {
///     # /*
///     latent_runtime::model!("digits.lat"); // beside this source file, as for `include_bytes!`
///     # */
///     # latent_runtime::model!(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/lat/generator.int8.lat"));
/// }
///
/// # fn main() -> Result<(), latent_runtime::Error> {
/// let mut session = digits::session()?; // checks the model, takes the arena: once
/// let (input, mut output) = ([0.5; digits::INPUT_LEN], [0.0; digits::OUTPUT_LEN]);
/// session.run(&input, &mut output)?;
/// # Ok(())
/// # }
/// ```
///
/// The module then has
/// - `BYTES: &[u8]`, the file, at a multiple of 64 in flash;
/// - `INPUT_LEN` and `OUTPUT_LEN`, the values of an example of the first input and the first output, and `ARENA_LEN`, the
///   bytes of working memory;
/// - `ARENA: Arena<ARENA_LEN>`, that memory ([`Arena`](crate::Arena)), no part of what is in flash;
/// - `session()`, which checks the model and takes the arena.
///
/// A file that is none of this format's, is of a version that this crate does not read, or was cut off does not compile.
#[macro_export]
macro_rules! model {
    ($path:expr $(,)?) => {
        /// The packed model.
        pub static BYTES: &[u8] = &FILE.0;
        static FILE: $crate::Aligned<[u8; CONTENT.len()]> = $crate::Aligned(*CONTENT);
        const CONTENT: &[u8; include_bytes!($path).len()] = include_bytes!($path);
        const _: () = assert!(
            $crate::format::is_whole(CONTENT),
            "this is no packed model of a version that is read, or it was cut off: see `exporter inspect`"
        );
        /// Values of one example of the first input.
        #[allow(dead_code)]
        pub const INPUT_LEN: usize = $crate::format::input_len(CONTENT);
        /// Values of one example of the first output.
        #[allow(dead_code)]
        pub const OUTPUT_LEN: usize = $crate::format::output_len(CONTENT);
        /// Bytes of working memory for one example.
        pub const ARENA_LEN: usize = $crate::format::arena_len(CONTENT);
        /// The working memory.
        pub static ARENA: $crate::Arena<ARENA_LEN> = $crate::Arena::new();

        /// Checks the model and takes the arena, which can be done once.
        #[allow(dead_code)]
        pub fn session() -> Result<$crate::native::Session<'static, 'static>, $crate::Error> {
            $crate::session(BYTES, &ARENA)
        }
    };
}

/// What `model!` makes its `session` of.
pub fn session<const LEN: usize>(
    bytes: &'static [u8],
    arena: &'static Arena<LEN>,
) -> Result<Session<'static, 'static>, Error> {
    let model = Model::from_bytes(bytes)?;
    Ok(Session::new(&model, arena.take().ok_or(Error::ArenaTaken)?)?)
}
