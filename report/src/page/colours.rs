//! Colours of objects that stand out from the page in light and dark mode.

use sam2_mask_writer::OBJECT_COLOURS;

/// Minimum contrast of a line against its background (WCAG 2.2, 1.4.11).
const CONTRAST: f64 = 3.0;
/// Backgrounds of plots.
const LIGHT: [u8; 3] = [255, 255, 255];
const DARK: [u8; 3] = [26, 31, 36];

/// Returns CSS variables: `--m1` to `--m7` for masks on pictures, and `--o1` to `--o7` for plots,
/// which are the same colours made darker or lighter.
pub(super) fn variables(dark: bool) -> String {
    let background = if dark { DARK } else { LIGHT };
    let line = |(index, colour): (usize, &[u8; 3])| {
        let number = index + 1;
        format!("--m{number}:{};--o{number}:{};", css(*colour), css(readable(*colour, background)))
    };
    OBJECT_COLOURS.iter().enumerate().map(line).collect()
}

/// Returns the number of an object's colour, from 1.
pub(super) fn number(object: u32) -> usize {
    (object.max(1) as usize - 1) % OBJECT_COLOURS.len() + 1
}

fn css([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Moves a colour away from the background until it is readable.
fn readable(colour: [u8; 3], background: [u8; 3]) -> [u8; 3] {
    let towards = if luminance(background) > 0.5 { 0.0 } else { 255.0 };
    let mixed = |percent: u32| {
        let share = f64::from(percent) / 100.0;
        colour.map(|value| (f64::from(value) * (1.0 - share) + towards * share).round() as u8)
    };
    let shares = (0..100).step_by(2).map(mixed);
    shares
        .into_iter()
        .find(|&colour| contrast(colour, background) >= CONTRAST)
        .unwrap_or(mixed(100))
}

/// Returns the contrast of two colours by WCAG, 1 to 21.
fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    (a / b).max(b / a)
}

fn luminance(colour: [u8; 3]) -> f64 {
    let [r, g, b] = linear(colour);
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// Returns a colour in linear light, 0 to 1.
fn linear(colour: [u8; 3]) -> [f64; 3] {
    colour.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_can_be_seen_on_both_backgrounds() {
        assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 1e-9);
        for background in [LIGHT, DARK] {
            for colour in OBJECT_COLOURS {
                let adapted = readable(colour, background);
                assert!(contrast(adapted, background) >= CONTRAST, "{colour:?} on {background:?}");
                if contrast(colour, background) >= CONTRAST {
                    assert_eq!(adapted, colour, "left alone where it can be seen");
                }
            }
        }
        assert!(variables(false).starts_with("--m1:#e69f00;--o1:#"));
        assert_eq!((number(1), number(7), number(8), number(0)), (1, 7, 1, 1));
    }

    /// Minimum contrast of text (WCAG 2.2, 1.4.3).
    const TEXT_CONTRAST: f64 = 4.5;
    const STYLE: &str = include_str!("style.css");

    fn parsed(hex: &str) -> [u8; 3] {
        let digits: String = match hex.len() {
            3 => hex.chars().flat_map(|c| [c, c]).collect(),
            _ => hex.to_owned(),
        };
        [0, 2, 4].map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
    }

    /// Returns the colours that a block of the style sheet defines, by name.
    fn colours_after(start: &str) -> std::collections::BTreeMap<&'static str, [u8; 3]> {
        let block = STYLE.split_once(start).unwrap().1.split_once('}').unwrap().0;
        let colours =
            block.split(';').filter_map(|line| line.trim().strip_prefix("--")?.split_once(":#"));
        colours.map(|(name, hex)| (name, parsed(hex))).collect()
    }

    /// Returns the names of the colours of all flags and of the other frames that are marked.
    fn marks() -> impl Iterator<Item = &'static str> {
        let flags = sam2_mask_writer::QualityFlag::ALL.map(|flag| flag.name());
        flags.into_iter().chain(["unprompted", "prompted"])
    }

    #[test]
    fn text_can_be_read_on_both_backgrounds() {
        for (start, card) in [
            (":root{color-scheme:light dark;", LIGHT),
            ("@media screen and (prefers-color-scheme:dark){:root{", DARK),
        ] {
            let colours = colours_after(start);
            assert_eq!(colours["card"], card);
            let check = |text: &str, background: [u8; 3], on: &str| {
                let found = contrast(colours[text], background);
                assert!(found >= TEXT_CONTRAST, "{start}: {text} on {on} has {found:.2}");
            };
            for text in ["text", "muted", "link"] {
                for on in ["page", "card", "soft"] {
                    check(text, colours[on], on);
                }
            }
            for mark in ["good", "look", "bad", "unsure"] {
                check("card", colours[mark], mark);
            }
            for flag in marks() {
                // The background of a chip is its own colour at one tenth.
                let ground = [0, 1, 2].map(|i| {
                    (0.1 * f64::from(colours[flag][i]) + 0.9 * f64::from(card[i])).round() as u8
                });
                check(flag, ground, "its chip");
            }
        }
    }

    /// Colours as people without cones of one kind see them, in linear light: protanopia,
    /// deuteranopia and tritanopia (Machado, Oliveira and Fernandes 2009).
    const BLINDNESS: [[[f64; 3]; 3]; 3] = [
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ];

    fn times(matrix: [[f64; 3]; 3], [a, b, c]: [f64; 3]) -> [f64; 3] {
        matrix.map(|[x, y, z]| x * a + y * b + z * c)
    }

    /// Returns a colour in linear light in OKLab (Ottosson 2020).
    fn oklab(linear: [f64; 3]) -> [f64; 3] {
        let cones = times(
            [
                [0.412_221_470_8, 0.536_332_536_3, 0.051_445_992_9],
                [0.211_903_498_2, 0.680_699_545_1, 0.107_396_956_6],
                [0.088_302_461_9, 0.281_718_837_6, 0.629_978_700_5],
            ],
            linear.map(|value| value.clamp(0.0, 1.0)),
        );
        times(
            [
                [0.210_454_255_3, 0.793_617_785_0, -0.004_072_046_8],
                [1.977_998_495_1, -2.428_592_205_0, 0.450_593_709_9],
                [0.025_904_037_1, 0.782_771_766_2, -0.808_675_766_0],
            ],
            cones.map(f64::cbrt),
        )
    }

    /// Differences in OKLab: about 0.02 can be seen in areas that touch.
    const DIFFERENT: f64 = 0.08;
    const DIFFERENT_WITHOUT_A_CONE: f64 = 0.03;

    #[test]
    fn flags_can_be_told_apart_also_by_colour_blind_readers() {
        for start in [
            ":root{color-scheme:light dark;",
            "@media screen and (prefers-color-scheme:dark){:root{",
        ] {
            let colours = colours_after(start);
            let marks: Vec<_> = marks().map(|name| (name, linear(colours[name]))).collect();
            let apart = |see: &dyn Fn([f64; 3]) -> [f64; 3], least: f64| {
                for (at, (one, a)) in marks.iter().enumerate() {
                    for (other, b) in &marks[..at] {
                        let (a, b) = (oklab(see(*a)), oklab(see(*b)));
                        let squares = [0, 1, 2].map(|i| (a[i] - b[i]).powi(2));
                        let found = squares.iter().sum::<f64>().sqrt();
                        assert!(found >= least, "{start}: {one} and {other}: {found:.3}");
                    }
                }
            };
            apart(&|colour| colour, DIFFERENT);
            for matrix in BLINDNESS {
                apart(&|colour| times(matrix, colour), DIFFERENT_WITHOUT_A_CONE);
            }
        }
    }

    #[test]
    fn enlarged_pictures_are_as_dark_as_the_dark_page() {
        let dark = colours_after("@media screen and (prefers-color-scheme:dark){:root{");
        let dialog = colours_after("dialog .chip{");
        for name in marks() {
            assert_eq!(dialog[name], dark[name], "{name}");
            assert!(STYLE.contains(&format!(".{name}{{--flag:var(--{name})}}")), "{name}");
        }
    }
}
