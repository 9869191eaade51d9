//! Where everything of a walk is.

use super::WalkScene;
use crate::action::{Mode, SliderSet, SliderTarget, WalkAction};
use crate::draw::theme::{DIM, FAINT, LINE, PANEL};
use crate::draw::{Rect, Weight};
use crate::shell::{MARGIN, Shell, heading_gap};
use crate::ui::{Icon, ItemKind, Layout, style};
use crate::walk::Interpolation;

/// The timeline at the bottom.
pub(super) const TIMELINE: f32 = 92.0;
/// The most buttons for classes.
const CLASSES: usize = 10;
/// The space between them.
const CLASS_GAP: f32 = 3.0;

impl WalkScene {
    /// Class, walk and sliders, from `top` on; returns where they end.
    pub(super) fn lay_out_controls(
        &self,
        shell: &Shell,
        layout: &mut Layout<'_>,
        rect: Rect,
        top: f32,
    ) -> f32 {
        let s = layout.scale;
        let (x, right) = (rect.x + MARGIN * s, rect.x + rect.w - MARGIN * s);
        let width = right - x;
        let mut y = top;
        let space = self.config.file.space;
        if self.config.file.classes() > 0 {
            self.lay_out_classes(shell, layout, (x, right), y);
            y += (40.0 + heading_gap(rect.h, s)) * s;
        }
        // The walk.
        layout.heading("WALK", x, y);
        let files = [
            (Icon::Load, WalkAction::LoadWalk.into()),
            (Icon::Save, WalkAction::SaveWalk.into()),
            (Icon::Die, WalkAction::NewWalk.into()),
        ];
        for (place, (icon, action)) in files.into_iter().enumerate() {
            let left = right - (20.0 + 26.0 * place as f32) * s;
            layout.push(
                Rect::new(left, y - 14.0 * s, 20.0 * s, 20.0 * s),
                ItemKind::Icon { icon, on: false, action },
            );
        }
        y += 12.0 * s;
        let mut left = x;
        for interpolation in Interpolation::ALL {
            let on = self.walk.interpolation == interpolation;
            left = layout.button(
                interpolation.name(),
                left,
                y,
                on,
                WalkAction::Interpolate(interpolation).into(),
            );
        }
        layout.button("loop", left + 10.0 * s, y, self.walk.closed, WalkAction::ToggleClosed.into());
        y += 38.0 * s;
        let columns = (84.0 * s, 62.0 * s);
        let slider = |layout: &mut Layout<'_>, y: f32, target, label: &str, value: String, origin| {
            let area = Rect::new(x, y, width, 24.0 * s);
            layout.push(area, ItemKind::Slider { target, label: label.into(), value, origin, columns });
        };
        let speed = format!("{:.2} /s", self.player.speed());
        slider(layout, y, SliderTarget::Speed, "Speed", speed, 0.0);
        y += 26.0 * s;
        let psi = format!("ψ {:.2}", self.truncation);
        slider(layout, y, SliderTarget::Truncation, "Truncation", psi, 0.0);

        // Directions.
        y += (18.0 + heading_gap(rect.h, s)) * s;
        layout.heading("SLIDERS", x, y);
        y += 12.0 * s;
        let mut left = x;
        for set in SliderSet::ALL {
            left =
                layout.button(set.name(), left, y, self.sliders.set == set, WalkAction::Sliders(set).into());
        }
        y += 36.0 * s;
        if self.sliders.lacks_directions() {
            layout.text("looking for directions …", x, y + 16.0 * s, style(13.0, Weight::Regular, DIM));
            y += 24.0 * s;
        }
        let latent = self.shown.as_ref().map_or(&[][..], |shown| &shown.request.latents);
        // Of many sliders those in view are laid out.
        let targets = self.sliders.targets(space.size);
        let (height, end) = (24.0 * s, y + 24.0 * s * targets.len() as f32);
        let above = ((rect.y + shell.scroll * s - y) / height).max(0.0) as usize;
        for (place, target) in targets.enumerate().skip(above).take((rect.h / height) as usize + 2) {
            let (SliderTarget::Direction(index) | SliderTarget::Latent(index)) = target else { continue };
            let label = match target {
                SliderTarget::Latent(_) => format!("z {index}"),
                _ => format!("{} {}", self.sliders.set.name(), index + 1),
            };
            let value = self.sliders.value(target, &space, latent);
            let value = if value == 0.0 { "0.00".into() } else { format!("{value:+.2}").replace('-', "−") };
            slider(layout, y + height * place as f32, target, &label, value, 0.5);
        }
        end
    }

    /// A row of buttons for the classes; of many, for ten around the chosen one.
    fn lay_out_classes(&self, shell: &Shell, layout: &mut Layout<'_>, (x, right): (f32, f32), y: f32) {
        let s = layout.scale;
        let (classes, chosen) = (self.config.file.classes(), self.class(shell));
        layout.heading("CLASS", x, y);
        let shown = classes.min(CLASSES);
        let first = chosen.saturating_sub(shown / 2).min(classes - shown);
        if classes > shown {
            let place = format!("{chosen} of 0 – {}", classes - 1);
            layout.right(place, right - 56.0 * s, y, style(12.0, Weight::Regular, FAINT));
            let neighbors =
                [(46.0, Icon::Previous, chosen.saturating_sub(1)), (20.0, Icon::Next, chosen + 1)];
            for (offset, icon, class) in neighbors {
                let area = Rect::new(right - offset * s, y - 14.0 * s, 20.0 * s, 20.0 * s);
                layout.push(
                    area,
                    ItemKind::Icon { icon, on: false, action: WalkAction::SetClass(class).into() },
                );
            }
        }
        let step = (right - x + CLASS_GAP * s) / CLASSES as f32;
        for place in 0..shown {
            let class = first + place;
            let area = Rect::new(x + step * place as f32, y + 12.0 * s, step - CLASS_GAP * s, 26.0 * s);
            let action = WalkAction::SetClass(class).into();
            layout.push(area, ItemKind::Button { label: class.to_string(), on: class == chosen, action });
        }
    }

    pub(super) fn lay_out_timeline(&self, layout: &mut Layout<'_>, rect: Rect) {
        let s = layout.scale;
        layout.push(rect, ItemKind::Fill(PANEL));
        layout.push(Rect::new(rect.x, rect.y, rect.w, 1.0), ItemKind::Fill(LINE));
        let middle = rect.y + rect.h / 2.0;
        let square = |x: f32, side: f32| Rect::new(x, middle - side / 2.0, side, side);
        let playing = self.player.playing && self.mode != Mode::Map;
        let mut x = MARGIN * s;
        let play = if playing { Icon::Pause } else { Icon::Play };
        layout.push(
            square(x, 40.0 * s),
            ItemKind::Icon { icon: play, on: true, action: WalkAction::TogglePlay.into() },
        );
        x += 50.0 * s;
        let forward = self.player.is_forward();
        for (icon, action) in [
            (Icon::Previous, WalkAction::StepKey(false).into()),
            (Icon::Next, WalkAction::StepKey(true).into()),
            (Icon::Direction { forward }, WalkAction::Reverse.into()),
        ] {
            layout.push(square(x, 26.0 * s), ItemKind::Icon { icon, on: false, action });
            x += 32.0 * s;
        }
        let mut end = rect.w - MARGIN * s;
        // From the right; in narrow windows those that matter less are left out.
        for (icon, action, least) in [
            (Icon::Cross, WalkAction::DeleteKey.into(), 0.0),
            (Icon::Later, WalkAction::MoveKey(true).into(), 760.0),
            (Icon::Earlier, WalkAction::MoveKey(false).into(), 760.0),
            (Icon::Die, WalkAction::AddRandomKey.into(), 560.0),
            (Icon::Plus, WalkAction::AddKey.into(), 0.0),
        ] {
            if rect.w < least * s {
                continue;
            }
            end -= 26.0 * s;
            layout.push(square(end, 26.0 * s), ItemKind::Icon { icon, on: false, action });
            end -= 6.0 * s;
        }
        layout.push(Rect::new(x, rect.y, (end - x).max(1.0), rect.h), ItemKind::Timeline);
    }
}
