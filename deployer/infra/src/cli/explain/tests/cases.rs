//! What AWS is known to say, word for word where it is known.

mod access;
mod refusals;
mod silence;

/// A failed request: what was being done, and what came of it.
pub struct Case {
    pub name: &'static str,
    /// What was typed.
    pub line: &'static str,
    pub doing: &'static str,
    pub op: &'static str,
    /// 0 when no answer came.
    pub status: u16,
    pub code: &'static str,
    pub message: &'static str,
}

const fn case(
    name: &'static str,
    doing: &'static str,
    op: &'static str,
    status: u16,
    code: &'static str,
    message: &'static str,
) -> Case {
    Case { name, line: "deploy --stage prod", doing, op, status, code, message }
}

impl Case {
    const fn typed(self, line: &'static str) -> Self {
        Self { line, ..self }
    }
}

pub fn cases() -> impl Iterator<Item = &'static Case> {
    [access::ACCESS, silence::SILENCE, refusals::REFUSALS].into_iter().flatten()
}
