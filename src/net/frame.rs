//! Where a frame ends.

/// Why the next frame cannot be found. The connection is closed without a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// Longer than the limit, or negative, which Java reads as longer than anything.
    #[error("frame of {size} bytes, limit is {limit}")]
    TooLarge {
        /// The size it claims, its length field included.
        size: u64,
        /// The limit.
        limit: usize,
    },
    /// Too short to hold the header's own length.
    #[error("frame of {0} bytes is too short")]
    TooShort(usize),
}

/// The size of the frame that `bytes` begin with, its length field included; none until that field is there. The frame
/// itself need not be, so a false claim is refused before anything is kept for it.
pub fn frame_length(bytes: &[u8], limit: usize) -> Result<Option<usize>, FrameError> {
    let Some(field) = bytes.first_chunk::<LENGTH_FIELD>() else { return Ok(None) };
    let size = u64::from(u32::from_be_bytes(*field)) + LENGTH_FIELD as u64;
    match usize::try_from(size) {
        Ok(size) if size < FRAME_MIN => Err(FrameError::TooShort(size)),
        Ok(size) if size <= limit => Ok(Some(size)),
        _ => Err(FrameError::TooLarge { size, limit }),
    }
}

const LENGTH_FIELD: usize = 4;
/// Two length fields: the frame's and the header's.
const FRAME_MIN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_known_as_soon_as_its_four_bytes_are() {
        assert_eq!(frame_length(&[0, 0, 0], 100), Ok(None));
        assert_eq!(frame_length(&[0, 0, 0, 96], 100), Ok(Some(100)));
    }

    #[test]
    fn a_length_out_of_bounds_is_refused() {
        assert_eq!(frame_length(&[0, 0, 0, 97], 100), Err(FrameError::TooLarge { size: 101, limit: 100 }));
        assert_eq!(frame_length(&[0, 0, 0, 3], 100), Err(FrameError::TooShort(7)));
        assert_eq!(frame_length(&[0, 0, 0, 4], 100), Ok(Some(8)));
        assert!(matches!(frame_length(&[0xff; 4], 16 << 20), Err(FrameError::TooLarge { .. })));
    }
}
