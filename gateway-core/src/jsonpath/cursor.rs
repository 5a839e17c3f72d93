//! Steps through text that is known to be valid JSON. Nothing is checked again; `None` would mean that it was not valid.

/// A place in valid JSON text.
#[derive(Debug)]
pub(super) struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    /// Before the first byte.
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// Bytes before this place.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The text between two places.
    pub(super) fn between(&self, start: usize, end: usize) -> &'t str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// The next byte that is no space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        self.at += rest
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))?;
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over the next byte that is no space: a bracket or a colon.
    pub(super) fn step(&mut self) -> Option<()> {
        self.peek()?;
        self.at += 1;
        Some(())
    }

    /// Steps over a comma or the closing bracket; whether it was the bracket. Then comes the next element.
    pub(super) fn closes(&mut self, bracket: u8) -> Option<bool> {
        if self.peek()? == b',' {
            self.at += 1;
        }
        let closed = self.peek()? == bracket;
        self.at += usize::from(closed);
        Some(closed)
    }

    /// A member's name with its quotes; the cursor moves on to its value.
    pub(super) fn name(&mut self) -> Option<&'t str> {
        self.peek()?;
        let name = self.scalar()?;
        self.step()?; // the colon
        Some(name)
    }

    /// The string, with its quotes, or the literal that starts here.
    pub(super) fn scalar(&mut self) -> Option<&'t str> {
        let (start, rest) = (self.at, self.text.as_bytes().get(self.at..)?);
        if rest.first() == Some(&b'"') {
            self.skip_string()?;
        } else {
            let ends =
                |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
            self.at += rest.iter().position(ends).unwrap_or(rest.len());
        }
        self.text.get(start..self.at)
    }

    /// The whole value that comes next.
    pub(super) fn value(&mut self) -> Option<&'t str> {
        if !matches!(self.peek()?, b'[' | b'{') {
            return self.scalar();
        }
        let (start, mut depth) = (self.at, 0_usize);
        loop {
            match *self.text.as_bytes().get(self.at)? {
                b'"' => {
                    self.skip_string()?;
                    continue;
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return self.text.get(start..self.at);
            }
        }
    }

    fn skip_string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            let rest = self.text.as_bytes().get(self.at..)?;
            let found = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            let closed = rest[found] == b'"';
            self.at += found + if closed { 1 } else { 2 };
            if closed {
                return Some(());
            }
        }
    }
}
