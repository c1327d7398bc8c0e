//! Draws text into images.

use std::convert::Infallible;

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::MonoFont;
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::iso_8859_1::{
    FONT_4X6, FONT_6X10, FONT_6X13, FONT_8X13_BOLD, FONT_10X20,
};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::text::{Baseline, Text};
use embedded_graphics::{Drawable, Pixel};

/// An RGB8 image to draw into.
pub(crate) struct Canvas<'a> {
    rgb: &'a mut [u8],
    width: usize,
    height: usize,
}

impl<'a> Canvas<'a> {
    /// Returns a canvas of `width` columns; the number of rows follows from the length of `rgb`.
    pub(crate) fn new(rgb: &'a mut [u8], width: usize) -> Self {
        let height = rgb.len() / (3 * width.max(1));
        Self { rgb, width, height }
    }

    pub(crate) fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Sets a pixel; pixels outside the image are ignored.
    pub(crate) fn set(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = 3 * (y * self.width + x);
            self.rgb[at..at + 3].copy_from_slice(&colour);
        }
    }

    pub(crate) fn fill(&mut self, area: Area, colour: [u8; 3]) {
        for y in area.top..area.top + area.height {
            for x in area.left..area.left + area.width {
                self.set(x, y, colour);
            }
        }
    }
}

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Area {
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.left < other.left + other.width
            && other.left < self.left + self.width
            && self.top < other.top + other.height
            && other.top < self.top + self.height
    }
}

/// A font and the size of each of its dots in pixels. It has the letters of Western Europe; others
/// are drawn as question marks.
#[derive(Clone, Copy)]
pub(crate) struct Lettering {
    font: &'static MonoFont<'static>,
    scale: usize,
}

impl Lettering {
    /// Returns letters that are readable on an image whose shorter side is `side`; `None` if they
    /// would hide the image.
    pub(crate) fn for_side(side: usize) -> Option<Self> {
        let (font, scale) = match side {
            0..=35 => return None,
            36..=119 => (&FONT_4X6, 1),
            120..=219 => (&FONT_6X10, 1),
            220..=399 => (&FONT_6X13, 1),
            400..=599 => (&FONT_8X13_BOLD, 1),
            600..=999 => (&FONT_10X20, 1),
            _ => (&FONT_10X20, side / 540 + usize::from(side < 1080)),
        };
        Some(Self { font, scale })
    }

    /// Returns the width of the empty space around a text.
    fn margin(&self) -> usize {
        self.scale * if self.font.character_size.height < 10 { 1 } else { 2 }
    }

    /// Returns the columns and rows of a text, including the space around it.
    pub(crate) fn size(&self, text: &str) -> (usize, usize) {
        let Size { width, height } = self.font.character_size;
        let letters = text.chars().count();
        (
            letters * width as usize * self.scale + 2 * self.margin(),
            height as usize * self.scale + 2 * self.margin(),
        )
    }

    /// Returns the number of letters that fit into `width` columns.
    pub(crate) fn letters(&self, width: usize) -> usize {
        width.saturating_sub(2 * self.margin())
            / (self.font.character_size.width as usize * self.scale)
    }

    /// Writes a text on a rectangle of the colour `paper`. The text is black or white, whichever
    /// has more contrast.
    pub(crate) fn write(
        &self,
        canvas: &mut Canvas<'_>,
        text: &str,
        (left, top): (usize, usize),
        paper: [u8; 3],
    ) -> Area {
        let (width, height) = self.size(text);
        let area = Area { left, top, width, height };
        canvas.fill(area, paper);
        let [red, green, blue] = paper.map(u32::from);
        // Above this luma, black has more contrast than white.
        let is_bright = 299 * red + 587 * green + 114 * blue > 110_000;
        let ink = if is_bright { Rgb888::BLACK } else { Rgb888::WHITE };
        let margin = self.margin();
        let mut dots = Dots { canvas, left: left + margin, top: top + margin, scale: self.scale };
        let style = MonoTextStyle::new(self.font, ink);
        let Ok(_) = Text::with_baseline(text, Point::zero(), style, Baseline::Top).draw(&mut dots);
        area
    }
}

/// A position on a canvas where each dot is a square of pixels.
struct Dots<'a, 'b> {
    canvas: &'a mut Canvas<'b>,
    left: usize,
    top: usize,
    scale: usize,
}

impl OriginDimensions for Dots<'_, '_> {
    fn size(&self) -> Size {
        let (width, height) = self.canvas.size();
        Size::new(width as u32, height as u32)
    }
}

impl DrawTarget for Dots<'_, '_> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, colour) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { continue };
            let (left, top) = (self.left + x * self.scale, self.top + y * self.scale);
            let dot = Area { left, top, width: self.scale, height: self.scale };
            self.canvas.fill(dot, [colour.r(), colour.g(), colour.b()]);
        }
        Ok(())
    }
}

/// Returns a text cut to at most `letters` letters; two dots mark a cut.
pub(crate) fn shortened(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    let kept: String = text.chars().take(letters.saturating_sub(2)).collect();
    format!("{kept}..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_drawn_inside_their_paper_and_the_picture() {
        for side in [36, 150, 300, 500, 720, 1080, 2160, 4320] {
            let lettering = Lettering::for_side(side).unwrap();
            let mut rgb = vec![90; 3 * side * side];
            let mut canvas = Canvas::new(&mut rgb, side);
            let area = lettering.write(&mut canvas, "1 Zoë", (side / 8, 1), [0, 0, 0]);
            let is_in = |at: usize| {
                let (x, y) = (at % side, at / side);
                area.meets(&Area { left: x, top: y, width: 1, height: 1 })
            };
            let pixels: Vec<&[u8]> = rgb.chunks_exact(3).collect();
            let white = pixels.iter().filter(|&&pixel| pixel == [255; 3]).count();
            assert!(white * 20 > area.width * area.height, "{side}: {white}");
            assert!(pixels.iter().enumerate().all(|(at, pixel)| is_in(at) != (*pixel == [90; 3])));
            assert!(lettering.size("1").1 * 6 <= side * 2, "{side}");
            // Across an edge of the image.
            lettering.write(
                &mut Canvas::new(&mut rgb, side),
                "long name",
                (side - 3, side - 3),
                [9; 3],
            );
        }
        assert!(Lettering::for_side(35).is_none());
        assert_eq!(shortened("mouse", 5), "mouse");
        assert_eq!(shortened("mouse-12", 5), "mou..");
    }
}
