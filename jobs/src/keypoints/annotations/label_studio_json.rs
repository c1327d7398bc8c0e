//! Reads Label Studio's JSON as it is stored, one task at a time. All tasks together would take a
//! hundred times the memory of their text.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;

#[derive(Deserialize)]
pub(super) struct Task {
    #[serde(default, alias = "completions")]
    pub(super) annotations: Option<Vec<Annotation>>,
    #[serde(default)]
    pub(super) data: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) meta: Option<Value>,
    #[serde(flatten)]
    pub(super) fields: BTreeMap<String, Value>,
}

/// The note that sleap-io keeps under `meta`.
#[derive(Deserialize)]
pub(super) struct MetaVideo {
    pub(super) filename: String,
    pub(super) frame_idx: usize,
}

#[derive(Deserialize)]
pub(super) struct Annotation {
    #[serde(default)]
    pub(super) result: Vec<Region>,
    #[serde(default)]
    pub(super) was_cancelled: bool,
}

#[derive(Deserialize)]
pub(super) struct Region {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) value: Option<Place>,
    #[serde(default)]
    pub(super) original_width: Option<u32>,
    #[serde(default)]
    pub(super) original_height: Option<u32>,
    #[serde(default, rename = "parentID")]
    pub(super) parent: Option<String>,
    #[serde(default)]
    pub(super) from_id: Option<String>,
    #[serde(default)]
    pub(super) to_id: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
pub(super) struct Place {
    #[serde(default)]
    pub(super) x: Option<f64>,
    #[serde(default)]
    pub(super) y: Option<f64>,
    #[serde(default)]
    pub(super) width: Option<f64>,
    #[serde(default)]
    pub(super) height: Option<f64>,
    #[serde(default)]
    pub(super) rotation: Option<f64>,
    #[serde(default, rename = "radiusX")]
    pub(super) radius_x: Option<f64>,
    #[serde(default, rename = "radiusY")]
    pub(super) radius_y: Option<f64>,
    #[serde(default)]
    pub(super) points: Option<Vec<[f64; 2]>>,
    #[serde(default)]
    pub(super) sequence: Option<Vec<KeyFrame>>,
    #[serde(default)]
    pub(super) rle: Option<IgnoredAny>,
    #[serde(
        default,
        alias = "keypointlabels",
        alias = "rectanglelabels",
        alias = "polygonlabels",
        alias = "ellipselabels",
        alias = "brushlabels",
        alias = "hypertextlabels",
        alias = "videorectanglelabels"
    )]
    pub(super) labels: Option<Vec<String>>,
}

#[derive(Clone, Deserialize)]
pub(super) struct KeyFrame {
    pub(super) frame: usize,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    #[serde(default)]
    pub(super) rotation: Option<f64>,
}

/// Fields that only its tasks have.
const TASK_FIELDS: [&str; 4] = ["annotations", "completions", "annotator", "annotation_id"];

pub(super) fn recognise(text: &str) -> bool {
    // A list of results in COCO's format has other fields.
    let first = serde_json::from_str::<FirstOf<BTreeMap<String, IgnoredAny>>>(text);
    first.is_ok_and(|FirstOf(first)| {
        first.is_some_and(|task| TASK_FIELDS.iter().any(|name| task.contains_key(*name)))
    })
}

/// The first item of a list; the others are not kept.
struct FirstOf<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FirstOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = FirstOf<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<FirstOf<T>, A::Error> {
                let first = list.next_element()?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(FirstOf(first))
            }
        }

        deserializer.deserialize_seq(List(PhantomData))
    }
}

/// Reads a list of tasks and hands over each.
///
/// # Errors
/// The fault in the JSON, or in a task with its number.
pub(super) fn each_task(
    text: &str,
    take: impl FnMut(Task) -> Result<(), String>,
) -> Result<(), String> {
    let mut json = serde_json::Deserializer::from_str(text);
    let mut path = serde_path_to_error::Track::new();
    let mut wrong = None;
    let tasks = Tasks { take, wrong: &mut wrong };
    let done = tasks.deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut path));
    match wrong {
        Some(what) => Err(what),
        None => {
            done.map_err(|error| format!("it is Label Studio's JSON, but {}: {error}", path.path()))
        }
    }
}

struct Tasks<'a, F> {
    take: F,
    /// The fault in a task.
    wrong: &'a mut Option<String>,
}

impl<'de, F: FnMut(Task) -> Result<(), String>> DeserializeSeed<'de> for Tasks<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Task) -> Result<(), String>> Visitor<'de> for Tasks<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tasks")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut tasks: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(task) = tasks.next_element::<Task>()? {
            number += 1;
            if let Err(what) = (self.take)(task) {
                let what = self.wrong.insert(format!("task {number}: {what}"));
                return Err(serde::de::Error::custom(what));
            }
        }
        Ok(())
    }
}
