import Testing

/// Everything that runs real nodes against a real broker, one test after the other: the machine is
/// small, and one test restarts the broker.
@Suite(.serialized, .timeLimit(.minutes(4))) enum Exchange {}
