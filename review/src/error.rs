//! Errors of the server, and how they are answered.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sam2_frame_provider::FrameError;
use sam2_jobs::JobError;
use sam2_mask_writer::{AmendFileError, RunFileError, WriteError};

/// The review page cannot be served, or a request cannot be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReviewError {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; choose another port with --port, or leave it out"
    )]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// The server ended.
    #[error("the server ended: {0}")]
    Serve(std::io::Error),
    /// The operating system has no random numbers.
    #[error("no random token can be made: {0}")]
    Random(getrandom::Error),
    /// The run file cannot be read.
    #[error(transparent)]
    Run(#[from] RunFileError),
    /// A frame cannot be read.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The run cannot be amended or tracked.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The recording cannot be opened with another contrast.
    #[error("the recording cannot be opened once more: {0}")]
    Recording(String),
    /// A picture cannot be made.
    #[error("the picture of the frame cannot be made: {0}")]
    Picture(#[from] turbojpeg::Error),
    /// The request makes no sense.
    #[error("{0}")]
    Request(String),
    /// The request is too large.
    #[error("the request is too large, or broke off: use a smaller mask")]
    TooLarge,
    /// Who asks may not.
    #[error("{0}")]
    Forbidden(&'static str),
    /// What is asked for is not there.
    #[error("{0}")]
    NotThere(String),
    /// Somebody else has acted since.
    #[error(
        "the run was changed meanwhile, in another tab or by another program: look at it again"
    )]
    Changed,
    /// Nothing can be changed.
    #[error("{0}")]
    ReadOnly(String),
    /// Another output cannot be written.
    #[error("{0}")]
    Export(String),
    /// A part of the server has stopped.
    #[error("the server is shutting down: open the run again")]
    Stopped,
}

impl From<AmendFileError> for ReviewError {
    fn from(error: AmendFileError) -> Self {
        JobError::from(error).into()
    }
}

impl ReviewError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Request(_) | Self::Export(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotThere(_) | Self::Frame(FrameError::IndexOutOfRange { .. }) => {
                StatusCode::NOT_FOUND
            }
            Self::Changed => StatusCode::CONFLICT,
            Self::ReadOnly(_) => StatusCode::LOCKED,
            Self::Job(JobError::Amend(AmendFileError::Write(WriteError::Io {
                source, ..
            }))) => match source.kind() {
                std::io::ErrorKind::StorageFull
                | std::io::ErrorKind::QuotaExceeded
                | std::io::ErrorKind::FileTooLarge => StatusCode::INSUFFICIENT_STORAGE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::Job(JobError::Amend(AmendFileError::Refused(_)) | JobError::Engine(_)) => {
                StatusCode::BAD_REQUEST
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Answers with the error's sentence.
impl IntoResponse for ReviewError {
    fn into_response(self) -> Response {
        if self.status().is_server_error() {
            tracing::warn!("{self}");
        }
        let told = serde_json::json!({ "error": self.to_string() });
        (self.status(), Json(told)).into_response()
    }
}
