//! Kinds of damage, each by a name.
mod conda;
mod wheels;

/// Its name, what is expected, and the script that does it.
///
/// What is expected are the verdicts of a quick pass, a deep one, and a deep one with the manifest: `w` whole, `g` a gap; then
/// a letter for what icache(1) says of it where that does not fit what pixi does; `-` where no installer is tried, as it would
/// wait for ever. Empty where nobody has looked yet.
pub(super) type Kind = (&'static str, &'static str, &'static str);

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Kind> {
    conda::KINDS.iter().chain(wheels::KINDS)
}
