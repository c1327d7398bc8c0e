//! Reads predictions back from the device while it already works on the next frame.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use sam2_model::{DeviceFailure, MaskPrediction, Sam2, Tensor, device_failure, read_together};

use crate::error::EngineError;

/// The part of one object's prediction that the host needs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    /// `[S / 4, S / 4]`.
    pub(super) low_res_logits: Vec<f32>,
    pub(super) object_score: f32,
    pub(super) predicted_iou: f32,
}

type Answers = Result<Vec<Answer>, EngineError>;

/// Reads predictions back.
///
/// On a GPU a dedicated thread does this: it waits only for the prediction, on its own stream,
/// while the session's thread already queues the next frame. On the CPU the results are complete
/// when the call returns.
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

/// Predictions that are being read.
pub(super) enum Reading {
    Done(Answers),
    Under(Receiver<Answers>),
}

impl ReadBack {
    pub(super) fn new(model: &Sam2) -> Self {
        // Without a thread, which the system may refuse, reading blocks the caller.
        Self { reader: if model.is_on_cpu() { None } else { Reader::start() } }
    }

    /// Starts reading; [`Reading::finish`] returns the result.
    pub(super) fn begin(&self, predictions: Vec<MaskPrediction>) -> Reading {
        match self.reader.as_ref().and_then(|reader| reader.jobs.as_ref()) {
            None => Reading::Done(answers(predictions)),
            Some(jobs) => {
                let (sender, receiver) = channel();
                // If the thread has ended, the channel is closed, which `finish` detects.
                let _ = jobs.send(Job { predictions, answers: sender });
                Reading::Under(receiver)
            }
        }
    }
}

impl Reading {
    /// Waits for the answers and returns them in the order of the predictions.
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
                // If the session is gone, the receiver is too.
                let _ = sender.send(read.map_err(EngineError::from).flatten());
            }
        };
        let thread = std::thread::Builder::new().name("read-back".to_owned()).spawn(work).ok()?;
        Some(Self { jobs: Some(jobs), thread: Some(thread) })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Closing the job channel ends the thread. When this returns, everything it held on the
        // device is released.
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Waits for predictions and returns their answers in order, with a single request to the device.
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
        // The thread ends after it has read everything.
        drop(threaded);
        assert!(reading.finish().is_ok());
        let (sender, receiver) = channel();
        drop(sender);
        let error = Reading::Under(receiver).finish().unwrap_err();
        assert!(matches!(error, EngineError::DeviceFailure(_)), "{error}");
    }
}
