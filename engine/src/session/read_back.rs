//! Getting predictions back from the device while it works on what comes next.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use sam2_model::{DeviceFailure, MaskPrediction, Sam2, Tensor, device_failure, read_together};

use crate::error::EngineError;

/// What the host needs of one object's prediction.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    /// `[S / 4, S / 4]`.
    pub(super) low_res_logits: Vec<f32>,
    pub(super) object_score: f32,
    pub(super) predicted_iou: f32,
}

type Answers = Result<Vec<Answer>, EngineError>;

/// Reads predictions.
///
/// On a GPU a thread of its own does: it waits for nothing but the prediction, on a stream of its own, while the session's thread already hands over the next
/// frame. The CPU's results are there when the call returns.
pub(super) struct ReadBack {
    reader: Option<Reader>,
}

struct Reader {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

struct Job {
    predictions: Vec<MaskPrediction>,
    answers: Sender<Answers>,
}

/// Predictions on their way.
pub(super) enum Reading {
    Done(Answers),
    Under(Receiver<Answers>),
}

impl ReadBack {
    pub(super) fn new(model: &Sam2) -> Self {
        // Without a thread, which the system may refuse, reading just waits.
        Self { reader: if model.is_on_cpu() { None } else { Reader::start() } }
    }

    /// Begins to read; [`Reading::finish`] has the result.
    pub(super) fn begin(&self, predictions: Vec<MaskPrediction>) -> Reading {
        match self.reader.as_ref().and_then(|reader| reader.jobs.as_ref()) {
            None => Reading::Done(answers(predictions)),
            Some(jobs) => {
                let (sender, receiver) = channel();
                // If the thread has ended, so has the channel, which `finish` sees.
                let _ = jobs.send(Job { predictions, answers: sender });
                Reading::Under(receiver)
            }
        }
    }
}

impl Reading {
    /// The answers, in the order of the predictions.
    ///
    /// # Errors
    /// [`EngineError::DeviceFailure`].
    pub(super) fn finish(self) -> Answers {
        match self {
            Self::Done(answers) => answers,
            Self::Under(receiver) => receiver.recv().unwrap_or_else(|_| {
                Err(DeviceFailure::from_message("the thread that reads results ended").into())
            }),
        }
    }
}

impl Reader {
    fn start() -> Option<Self> {
        let (jobs, received) = channel::<Job>();
        let work = move || {
            for Job { predictions, answers: sender } in received {
                let read = device_failure::guard(|| answers(predictions));
                // Nobody waits any more if the session is gone.
                let _ = sender.send(read.map_err(EngineError::from).flatten());
            }
        };
        let thread = std::thread::Builder::new().name("read-back".to_owned()).spawn(work).ok()?;
        Some(Self { jobs: Some(jobs), thread: Some(thread) })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // The end of the jobs is the end of the thread; what it holds of the device is gone when this returns.
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The answers of predictions, in their order, waited for; with one request for everything.
pub(super) fn answers(predictions: Vec<MaskPrediction>) -> Answers {
    let tensors = predictions.into_iter().flat_map(|prediction| {
        [
            flat(prediction.low_res_logits),
            flat(prediction.object_score_logits),
            flat(prediction.iou),
        ]
    });
    let values = read_together(tensors.collect())?;
    let one = |values: &Vec<f32>| values.first().copied().unwrap_or(f32::NAN);
    let mut answers = Vec::with_capacity(values.len() / 3);
    let mut values = values.into_iter();
    while let (Some(low_res_logits), Some(score), Some(iou)) =
        (values.next(), values.next(), values.next())
    {
        let (object_score, predicted_iou) = (one(&score), one(&iou));
        answers.push(Answer { low_res_logits, object_score, predicted_iou });
    }
    Ok(answers)
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let count = tensor.shape().num_elements();
    tensor.reshape([count])
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam2_model::Device;

    fn prediction(first: f32) -> MaskPrediction {
        let device = Device::flex();
        let values: Vec<f32> = (0..16).map(|i| first + i as f32).collect();
        let one = |value: f32| Tensor::<1>::from_floats([value], &device).reshape([1, 1]);
        MaskPrediction {
            low_res_logits: Tensor::<1>::from_floats(&values[..], &device).reshape([1, 1, 4, 4]),
            iou: one(first + 100.0),
            object_score_logits: one(first + 200.0),
            object_pointer: one(0.0),
        }
    }

    #[test]
    fn the_thread_reads_what_reading_at_once_does_in_order() {
        let threaded = ReadBack { reader: Reader::start() };
        assert!(threaded.reader.is_some());
        let at_once = ReadBack { reader: None };
        let begun: Vec<Reading> =
            (0..3).map(|i| threaded.begin(vec![prediction(i as f32), prediction(-1.0)])).collect();
        for (i, reading) in begun.into_iter().enumerate() {
            let read = reading.finish().unwrap();
            assert_eq!(read, answers(vec![prediction(i as f32), prediction(-1.0)]).unwrap());
            assert_eq!(read[0].low_res_logits[15], i as f32 + 15.0);
            assert_eq!(read[0].predicted_iou, i as f32 + 100.0);
            assert_eq!(read[0].object_score, i as f32 + 200.0);
        }
        assert_eq!(at_once.begin(Vec::new()).finish().unwrap(), []);
    }

    #[test]
    fn a_reading_that_nobody_finishes_any_more_is_an_error_and_holds_nothing_up() {
        let threaded = ReadBack { reader: Reader::start() };
        let reading = threaded.begin(vec![prediction(0.0)]);
        // The thread ends when it has read.
        drop(threaded);
        assert!(reading.finish().is_ok());
        let (sender, receiver) = channel();
        drop(sender);
        let error = Reading::Under(receiver).finish().unwrap_err();
        assert!(matches!(error, EngineError::DeviceFailure(_)), "{error}");
    }
}
