//! CVAT's XML, in two kinds. In "CVAT for video 1.1" a track has a shape on each frame. In "CVAT
//! for images 1.1" an image has shapes.
//!
//! Frames are numbered as in the whole video, even if a task holds only every fifth. Shapes with
//! `outside="1"` are absent. Shapes with `keyframe="0"` are interpolated between those that a
//! person has drawn. The format is described in CVAT's manual under "Advanced: XML annotation
//! format".

use std::collections::HashMap;

use roxmltree::{Document, Node, ParsingOptions};

use super::super::quoting::quote;
use super::super::table::RowKey;
use super::super::track_kind::TrackKind;
use super::{Annotations, Counts, Mark, Runs, Shape, left_out};

/// Number of corners of the outline that stands for an ellipse.
const ELLIPSE_CORNERS: u32 = 64;

/// Largest number of attributes of an element. Reading them takes time with the square of their
/// number.
const MOST_ATTRIBUTES: usize = 1000;

/// Other programs that write XML, by the root elements of their files.
const OTHERS: [(&str, &str, &str); 4] = [
    (
        "TrackMate",
        "TrackMate",
        "export the spots as a table and rename its columns to frame,object,x,y, in pixels and frames from 0",
    ),
    (
        "annotation",
        "Pascal VOC",
        "load the images and labels in CVAT or Labelme and save them from there",
    ),
    ("root", "TrackMate or Icy", "export a table with the columns frame,object,x,y"),
    ("icy", "Icy", "export a table with the columns frame,object,x,y"),
];

pub(super) fn read(text: &str) -> Result<Annotations, String> {
    if most_attributes(text) > MOST_ATTRIBUTES {
        return Err(format!(
            "it is XML with an element of more than {MOST_ATTRIBUTES} attributes, which CVAT never writes"
        ));
    }
    // Entity declarations are refused: they are what blows up XML, and CVAT writes none.
    let options = ParsingOptions { allow_dtd: false, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text.trim_start(), options)
        .map_err(|error| format!("it is XML, but damaged: {error}"))?;
    let root = document.root_element();
    let name = root.tag_name().name();
    if let Some((_, program, remedy)) = OTHERS.iter().find(|(element, ..)| *element == name) {
        return Err(format!("it is a file of {program}, which is not read: {remedy}"));
    }
    if name != "annotations" {
        return Err(format!(
            "it is XML with the root {}, which is not read; CVAT's begins with 'annotations'",
            quote(name)
        ));
    }
    let meta = child(root, "meta");
    let picture = meta.and_then(|meta| find(meta, "original_size")).and_then(|size| {
        let side = |name| child(size, name)?.text()?.trim().parse::<u32>().ok();
        Some([side("width")?, side("height")?])
    });
    // The file of a project holds several tasks, each with its video. A track names its task.
    let tasks: Vec<Node> = meta
        .into_iter()
        .flat_map(|meta| meta.descendants().filter(|node| node.has_tag_name("task")))
        .collect();
    let sources: HashMap<&str, Option<String>> = tasks
        .iter()
        .filter_map(|task| {
            let file = child(*task, "source").and_then(|source| source.text()).map(str::trim);
            let file = file.filter(|file| !file.is_empty()).map(str::to_owned);
            Some((child(*task, "id")?.text()?, file))
        })
        .collect();
    let sole = if tasks.len() > 1 { None } else { meta.and_then(source) };
    let video_of = |task: Option<&str>| match task {
        Some(id) if tasks.len() > 1 => sources.get(id).cloned().flatten(),
        _ => sole.clone(),
    };
    let mut reader = Reader { found: Annotations::new(TrackKind::Cvat, text.len()), ignored: 0 };
    for (number, node) in root.children().filter(Node::is_element).enumerate() {
        match node.tag_name().name() {
            "track" => {
                let video = video_of(node.attribute("task_id"));
                let picture = if tasks.len() > 1 { None } else { picture };
                reader.track(node, number, video, picture)?;
            }
            "image" => reader.image(node)?,
            _ => {}
        }
    }
    let Reader { mut found, ignored } = reader;
    found.warnings.extend(left_out(ignored, "shapes of CVAT (lines, cuboids, tags)"));
    Ok(found)
}

/// Returns the largest number of attributes that an element can have, judged by the equals signs
/// outside quotes.
fn most_attributes(text: &str) -> usize {
    let (mut quote, mut is_in_tag, mut count, mut most) = (None, false, 0, 0);
    for byte in text.bytes() {
        match byte {
            b'"' | b'\'' if is_in_tag && quote.is_none() => quote = Some(byte),
            _ if quote == Some(byte) => quote = None,
            _ if quote.is_some() => {}
            b'<' => (is_in_tag, count) = (true, 0),
            b'>' => is_in_tag = false,
            b'=' if is_in_tag => {
                count += 1;
                most = most.max(count);
            }
            _ => {}
        }
    }
    most
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

fn find<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.descendants().find(|child| child.has_tag_name(name))
}

/// Returns the file that a task annotates.
fn source(node: Node) -> Option<String> {
    find(node, "source")?.text().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

struct Reader {
    found: Annotations,
    /// Number of shapes that are not read.
    ignored: usize,
}

impl Reader {
    fn track(
        &mut self,
        track: Node,
        number: usize,
        video: Option<String>,
        picture: Option<[u32; 2]>,
    ) -> Result<(), String> {
        let label = track.attribute("label").unwrap_or_default();
        let id = track.attribute("id").map_or_else(|| number.to_string(), str::to_owned);
        // Grouped tracks belong to one animal; usually they are its body parts.
        let group = track.attribute("group_id").filter(|group| !["", "0"].contains(group));
        let group = group.map(|group| format!("group {group}"));
        // A shape that was drawn on one frame only is stored as a track of one frame. Such a track
        // says nothing that its label does not.
        let visible = track.children().filter(|shape| shape.is_element() && is_visible(*shape));
        let is_lasting = visible.take(2).count() > 1;
        let group = group.or_else(|| is_lasting.then(|| id.clone()));
        for shape in track.children().filter(Node::is_element) {
            let frame = shape.attribute("frame").and_then(|frame| frame.trim().parse().ok());
            let frame: usize = frame.ok_or_else(|| {
                format!("a shape of track {} has no frame number ({})", quote(label), line(shape))
            })?;
            let mark = Mark {
                row: RowKey::Frame(frame),
                video: video.clone(),
                group: group.clone(),
                instance: group.is_none().then(|| format!("track {id}")),
                label: label.to_owned(),
                part: None,
                shape: Shape::Point([0.0; 2]),
                picture,
                is_interpolated: shape.attribute("keyframe") == Some("0"),
            };
            self.shape(shape, &mark)?;
        }
        Ok(())
    }

    fn image(&mut self, image: Node) -> Result<(), String> {
        let name = image.attribute("name").unwrap_or_default();
        // Frames of a video are called `frame_000012`, and their number is also in `id`.
        let number = image.attribute("id").and_then(|id| id.trim().parse::<usize>().ok());
        let of_video = name
            .strip_prefix("frame_")
            .filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok());
        let row = match (of_video, number) {
            (Some(frame), _) => RowKey::Frame(frame),
            (None, _) if !name.is_empty() => RowKey::Image(name.to_owned()),
            (None, Some(number)) => RowKey::Frame(number),
            (None, None) => return Err(format!("an image has no name ({})", line(image))),
        };
        let side = |name| image.attribute(name).and_then(|side| side.trim().parse::<u32>().ok());
        let picture = side("width").zip(side("height")).map(|(width, height)| [width, height]);
        for (number, shape) in image.children().filter(Node::is_element).enumerate() {
            let group = shape.attribute("group_id").filter(|group| !["", "0"].contains(group));
            let is_point = shape.has_tag_name("points");
            let mark = Mark {
                row: row.clone(),
                video: None,
                group: group.map(|group| format!("group {group}")),
                instance: (!is_point).then(|| format!("shape {}", number + 1)),
                label: shape.attribute("label").unwrap_or_default().to_owned(),
                part: None,
                shape: Shape::Point([0.0; 2]),
                picture,
                is_interpolated: false,
            };
            self.shape(shape, &mark)?;
        }
        Ok(())
    }

    /// Adds a shape. Everything except its place is as in the mark `like`.
    fn shape(&mut self, shape: Node, like: &Mark) -> Result<(), String> {
        if shape.attribute("outside") == Some("1") {
            return Ok(());
        }
        let place = match shape.tag_name().name() {
            "box" => Shape::Box(turned_box(shape)?),
            "polygon" => Shape::Outlines(vec![points(shape)?]),
            "ellipse" => Shape::Outlines(vec![ellipse(shape)?]),
            "mask" => Shape::Runs(runs(shape)?),
            "points" => {
                let points = points(shape)?;
                let several = points.len() > 1;
                for (number, point) in (1..).zip(points) {
                    let name = like.label.clone();
                    let part = if several { format!("{name} {number}") } else { name };
                    self.push(like, Shape::Point(point), Some(part))?;
                }
                return Ok(());
            }
            "skeleton" => {
                let visible = shape.children().filter(|node| {
                    node.has_tag_name("points") && node.attribute("outside") != Some("1")
                });
                for element in visible {
                    let part = element.attribute("label").unwrap_or_default();
                    for point in points(element)? {
                        self.push(like, Shape::Point(point), Some(part.to_owned()))?;
                    }
                }
                return Ok(());
            }
            _ => {
                self.ignored += usize::from(!shape.has_tag_name("attribute"));
                return Ok(());
            }
        };
        self.push(like, place, None)
    }

    fn push(&mut self, like: &Mark, shape: Shape, part: Option<String>) -> Result<(), String> {
        self.found.push(Mark { shape, part, ..like.clone() })
    }
}

/// Returns `true` if a shape is in the picture. A skeleton is, if any of its points is.
fn is_visible(shape: Node) -> bool {
    let is_outside = |node: &Node| node.attribute("outside") == Some("1");
    let mut points = shape.children().filter(|node| node.has_tag_name("points"));
    !is_outside(&shape)
        && (!shape.has_tag_name("skeleton") || points.any(|point| !is_outside(&point)))
}

/// Returns the position of an element, for messages.
fn line(node: Node) -> String {
    format!("line {}", node.document().text_pos_at(node.range().start).row)
}

fn number(shape: Node, name: &str) -> Result<f32, String> {
    let text = shape.attribute(name).unwrap_or_default();
    let value = text.trim().parse::<f32>().ok().filter(|value| value.is_finite());
    value.ok_or_else(|| {
        format!("{}: {} is not a number ({})", quote(name), quote(text), line(shape))
    })
}

/// Returns the bounding box of a box that may be rotated around its centre.
fn turned_box(shape: Node) -> Result<[f32; 4], String> {
    let [x0, y0, x1, y1] = ["xtl", "ytl", "xbr", "ybr"].map(|name| number(shape, name));
    let [x0, y0, x1, y1] = [x0?, y0?, x1?, y1?];
    match shape.attribute("rotation") {
        Some(_) => {
            let turn = number(shape, "rotation")?.to_radians();
            Ok(around_turned([(x0 + x1) / 2.0, (y0 + y1) / 2.0], [x1 - x0, y1 - y0], turn))
        }
        None => Ok([x0, y0, x1, y1]),
    }
}

/// Returns the bounding box of a box of this size that is rotated around its centre.
pub(super) fn around_turned([x, y]: [f32; 2], [width, height]: [f32; 2], turn: f32) -> [f32; 4] {
    let (sin, cos) = (turn.sin().abs(), turn.cos().abs());
    let reach_x = (width * cos + height * sin) / 2.0;
    let reach_y = (width * sin + height * cos) / 2.0;
    [x - reach_x, y - reach_y, x + reach_x, y + reach_y]
}

/// Parses `x,y;x,y`.
fn points(shape: Node) -> Result<Vec<[f32; 2]>, String> {
    let text = shape.attribute("points").unwrap_or_default();
    let point = |pair: &str| {
        let (x, y) = pair.split_once(',')?;
        let number = |text: &str| text.trim().parse::<f32>().ok().filter(|value| value.is_finite());
        Some([number(x)?, number(y)?])
    };
    let pairs = text.split(';').filter(|pair| !pair.trim().is_empty());
    let points: Option<Vec<[f32; 2]>> = pairs.map(point).collect();
    points
        .filter(|points| !points.is_empty())
        .ok_or_else(|| format!("the points {} cannot be read ({})", quote(text), line(shape)))
}

fn ellipse(shape: Node) -> Result<Vec<[f32; 2]>, String> {
    let [x, y, rx, ry] = ["cx", "cy", "rx", "ry"].map(|name| number(shape, name));
    let [x, y, rx, ry] = [x?, y?, rx?, ry?];
    let turn = if shape.has_attribute("rotation") { number(shape, "rotation")? } else { 0.0 };
    Ok(ellipse_outline([x, y], [rx, ry], turn.to_radians()))
}

/// Returns an ellipse as an outline.
pub(super) fn ellipse_outline([x, y]: [f32; 2], [rx, ry]: [f32; 2], turn: f32) -> Vec<[f32; 2]> {
    let (sin, cos) = turn.sin_cos();
    (0..ELLIPSE_CORNERS)
        .map(|corner| {
            let angle = corner as f32 / ELLIPSE_CORNERS as f32 * std::f32::consts::TAU;
            let (dx, dy) = (rx * angle.cos(), ry * angle.sin());
            [x + dx * cos - dy * sin, y + dx * sin + dy * cos]
        })
        .collect()
}

/// Reads a mask: run lengths in a part of the picture, row by row.
fn runs(shape: Node) -> Result<Runs, String> {
    let side = |name: &str| {
        let text = shape.attribute(name).unwrap_or_default();
        text.trim().parse::<u32>().map_err(|_| {
            format!("{}: {} is not a number of pixels ({})", quote(name), quote(text), line(shape))
        })
    };
    let text = shape.attribute("rle").unwrap_or_default();
    let counts: Result<Vec<u32>, _> =
        text.split(',').map(|count| count.trim().parse::<u32>()).collect();
    let counts = counts.map_err(|_| format!("its mask cannot be read ({})", line(shape)))?;
    Ok(Runs {
        left: side("left")?,
        top: side("top")?,
        width: side("width")?,
        height: side("height")?,
        counts: Counts::Rows(counts),
    })
}
