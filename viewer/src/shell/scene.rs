//! What the shell asks of a scene.

use super::{Help, ModelSummary, Outcome, Shell};
use crate::action::Action;
use crate::draw::Rect;
use crate::input::{Binding, PointerEvent};
use crate::model::ModelFile;
use crate::picture::Picture;
use crate::ui::{Icon, Item, Layout, Painter};

/// One kind of model, and what is shown of it.
pub trait Scene {
    /// The model, and what the panel says of it.
    fn model(&self) -> ModelSummary<'_>;
    /// Its keys, besides those of every scene.
    fn bindings(&self) -> &'static [Binding<Action>];
    fn help(&self) -> &'static Help;
    /// What could be done instead, where there is no display.
    fn without_display(&self) -> &'static str {
        ""
    }

    /// Does one of its own actions; those of other scenes mean nothing to it.
    fn apply(&mut self, shell: &mut Shell, action: Action);
    /// Goes back one step; whether there was one.
    fn back(&mut self) -> bool {
        false
    }
    /// Shows another model; gives back one that it cannot show.
    fn set_model(&mut self, shell: &mut Shell, file: ModelFile) -> Option<ModelFile>;
    /// The back end or the number of threads is another now.
    fn engine_changed(&mut self, shell: &mut Shell);
    /// Lets `seconds` pass.
    fn tick(&mut self, shell: &mut Shell, seconds: f64);
    fn receive(&mut self, shell: &mut Shell, outcome: Outcome);
    /// Takes what the mouse did but for presses on buttons, which the shell does; the wheel is turned by whole notches.
    fn pointer_event(&mut self, shell: &mut Shell, event: PointerEvent, items: &[Item]);

    /// Whether something moves by itself, so that every picture differs from the one before.
    fn is_playing(&self, shell: &Shell) -> bool;
    /// Whether something is awaited from another thread than the one that makes images.
    fn is_busy(&self) -> bool {
        false
    }
    /// The picture that is saved and recorded: images alone, without enlargement.
    fn picture(&self) -> Option<Picture>;

    /// The tabs at the top: name, whether it is chosen, what it does.
    fn tabs(&self) -> Vec<(&'static str, bool, Action)>;
    /// The icons at the top, from the right.
    fn icons(&self, shell: &Shell) -> Vec<(Icon, bool, Action)>;
    /// The height of what it has below the images, in a window of `w` by `h` pixels with panels; 0 if there is no room.
    fn bottom_height(&self, w: f32, h: f32, scale: f32) -> f32;
    /// Lays out what is over the images, and sets the shell's viewport.
    fn lay_out_view(&mut self, shell: &mut Shell, layout: &mut Layout<'_>, view: Rect);
    /// Lays out what is in the panel at the right below the model, from `top` on, in as much height as it needs; returns
    /// where it ends. `rect` is the panel, moved up by what it is scrolled.
    fn lay_out_side(&self, shell: &Shell, layout: &mut Layout<'_>, rect: Rect, top: f32) -> f32;
    fn lay_out_bottom(&self, shell: &Shell, layout: &mut Layout<'_>, rect: Rect);
    /// Draws an item that is not drawn alike everywhere. `hover`: the pointer is over it.
    fn paint(&self, shell: &Shell, painter: &mut Painter<'_>, item: &Item, hover: bool);
}
