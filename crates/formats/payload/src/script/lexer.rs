//! Words and signs of a script.

use crate::Error;

/// A word or a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Text, in quotes or not. Either may be the name of a function.
    Text(Vec<u8>),
    If,
    Then,
    Else,
    Endif,
    Equal,
    Differ,
    And,
    Or,
    Not,
    Plus,
    Comma,
    Semicolon,
    Open,
    Close,
}

/// All of them, each with its line.
pub(super) fn tokens(text: &[u8]) -> Result<Vec<(Token, usize)>, Error> {
    let (mut tokens, mut line, mut rest) = (Vec::new(), 1, text);
    while let Some((first, after)) = rest.split_first() {
        let bad = |problem| Error::Script { line, problem };
        rest = after;
        let second = after.first();
        let token = match (first, second) {
            (b'\n', _) => {
                line += 1;
                continue;
            }
            (b' ' | b'\t' | b'\r', _) => continue,
            (b'#', _) => {
                let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                rest = rest.get(end..).unwrap_or_default();
                continue;
            }
            (b'"', _) => {
                let (text, after, lines) = quoted(rest).map_err(bad)?;
                tokens.push((Token::Text(text), line));
                (rest, line) = (after, line + lines);
                continue;
            }
            (b'=', Some(b'=')) => Token::Equal,
            (b'!', Some(b'=')) => Token::Differ,
            (b'&', Some(b'&')) => Token::And,
            (b'|', Some(b'|')) => Token::Or,
            (b'!', _) => Token::Not,
            (b'+', _) => Token::Plus,
            (b',', _) => Token::Comma,
            (b';', _) => Token::Semicolon,
            (b'(', _) => Token::Open,
            (b')', _) => Token::Close,
            (first, _) if is_word(*first) => {
                let end = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
                let word = [&[*first], rest.get(..end).unwrap_or_default()].concat();
                rest = rest.get(end..).unwrap_or_default();
                tokens.push((keyword(word), line));
                continue;
            }
            _ => return Err(bad("a sign is none of the language")),
        };
        if matches!(token, Token::Equal | Token::Differ | Token::And | Token::Or) {
            rest = rest.get(1..).unwrap_or_default();
        }
        tokens.push((token, line));
    }
    Ok(tokens)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_:/.".contains(&byte)
}

fn keyword(word: Vec<u8>) -> Token {
    match &word[..] {
        b"if" => Token::If,
        b"then" => Token::Then,
        b"else" => Token::Else,
        b"endif" => Token::Endif,
        _ => Token::Text(word),
    }
}

/// Text up to the closing quotes, what follows them, and how many lines it has.
fn quoted(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8], usize), &'static str> {
    let (mut text, mut lines) = (Vec::new(), 0);
    loop {
        let (byte, after) = rest.split_first().ok_or("text has no end")?;
        rest = after;
        match byte {
            b'"' => return Ok((text, rest, lines)),
            b'\\' => {
                let (escaped, after) = rest.split_first().ok_or("text has no end")?;
                rest = after;
                text.push(match escaped {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'"' | b'\\' => *escaped,
                    b'x' => {
                        let (digits, after) = rest.split_at_checked(2).ok_or("text has no end")?;
                        rest = after;
                        let digits = std::str::from_utf8(digits).ok();
                        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                        byte.ok_or("\\x is not followed by two digits")?
                    }
                    _ => return Err("a sign after \\ is none of n, t, \", \\ and x"),
                });
            }
            byte => {
                lines += usize::from(*byte == b'\n');
                text.push(*byte);
            }
        }
    }
}
