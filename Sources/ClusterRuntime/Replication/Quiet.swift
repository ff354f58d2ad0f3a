/// How often owners and replicas of a domain in which nothing happens say that they are there.
///
/// The pause grows with the silence before it, so that it doubles: a lost end of the log is noticed soon after the
/// change, and ten thousand domains at rest cost next to nothing. That a *node* lives is for heartbeats to tell, one
/// for all its domains; nobody is promoted, and no lease granted, for what this says.
public enum Quiet {
    /// The longest pause of a replica. Owners of earlier releases give a follower up that is silent for five seconds,
    /// so it is less.
    public static let longestPause = Duration.seconds(4)
    /// The longest pause of an owner that hears nothing. It answers each word of a replica, so that it hardly ever
    /// speaks by itself.
    static let longestPauseUnasked = longestPause * 2

    /// The next pause of one that has been quiet for so long.
    static func interval(_ quiet: Duration, atLeast shortest: Duration, atMost longest: Duration) -> Duration {
        max(shortest, min(quiet, longest))
    }
}
