/// The version of this build, as `rollcall --version` prints it and packages carry it.
enum Version {
    /// Semantic versioning; `~` sorts before the release that a build is on its way to, as Debian has it.
    static let current = "0.2.0~dev"
}
