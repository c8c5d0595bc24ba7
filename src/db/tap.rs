//! Notes the SQLSTATE of each error that the server sends, because the driver's error type above us leaves it out.
//! It only follows the message headers of the stream; nothing is copied but the five characters.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The SQLSTATE of the last error on one connection.
#[derive(Clone, Default)]
pub struct LastState(Arc<Mutex<Option<[u8; 5]>>>);

impl LastState {
    /// Take the noted state, so that the next error finds a clean slate.
    pub fn take(&self) -> Option<String> {
        let state = self.0.lock().unwrap_or_else(|p| p.into_inner()).take()?;
        String::from_utf8(state.to_vec()).ok()
    }

    fn note_first(&self, state: [u8; 5]) {
        self.0
            .lock()
            .unwrap_or_else(|p| p.into_inner())
            .get_or_insert(state);
    }
}

/// A stream to the server that is listened to.
pub struct Tap<S> {
    inner: S,
    reader: Reader,
    last: LastState,
}

impl<S> Tap<S> {
    /// Listen to `inner`.
    pub fn new(inner: S) -> (Self, LastState) {
        let last = LastState::default();
        let tap = Self {
            inner,
            reader: Reader::default(),
            last: last.clone(),
        };
        (tap, last)
    }
}

/// Where in the stream of server messages we are.
#[derive(Default)]
struct Reader {
    header: Vec<u8>,
    left: usize,
    in_error: bool,
    field: Option<u8>,
    code: Vec<u8>,
}

impl Reader {
    fn read(&mut self, mut bytes: &[u8], last: &LastState) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left == 0 {
                self.header.push(first);
                bytes = rest;
                if let [kind, a, b, c, d] = self.header[..] {
                    self.left = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(4);
                    self.in_error = kind == b'E';
                    self.field = None;
                    self.code.clear();
                    self.header.clear();
                }
            } else if self.in_error {
                self.left -= 1;
                bytes = rest;
                self.error_byte(first, last);
            } else {
                let skip = self.left.min(bytes.len());
                self.left -= skip;
                bytes = bytes.get(skip..).unwrap_or_default();
            }
        }
    }

    /// An error message is a list of fields: a letter, text, a zero. The letter of the SQLSTATE is C.
    fn error_byte(&mut self, byte: u8, last: &LastState) {
        match self.field {
            None => self.field = Some(byte),
            Some(_) if byte == 0 => {
                if self.field == Some(b'C')
                    && let Ok(state) = <[u8; 5]>::try_from(self.code.as_slice())
                {
                    last.note_first(state);
                }
                self.field = None;
                self.code.clear();
            }
            Some(b'C') if self.code.len() < 5 => self.code.push(byte),
            Some(_) => {}
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if let Poll::Ready(Ok(())) = polled {
            let this = &mut *self;
            this.reader.read(
                buffer.filled().get(before..).unwrap_or_default(),
                &this.last,
            );
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_state_however_the_bytes_are_cut() {
        let body = b"SERROR\0VERROR\0C22P02\0Mno\0\0";
        let mut stream = vec![b'R', 0, 0, 0, 8, 0, 0, 0, 0, b'E'];
        stream.extend((body.len() as u32 + 4).to_be_bytes());
        stream.extend(body);
        stream.extend([b'Z', 0, 0, 0, 5, b'I']);
        for cut in 1..stream.len() {
            let (mut reader, last) = (Reader::default(), LastState::default());
            for part in stream.chunks(cut) {
                reader.read(part, &last);
            }
            assert_eq!(last.take().as_deref(), Some("22P02"));
            assert_eq!(last.take(), None);
        }
    }
}
