import CRabbitMQ
import ExchangeCore
import Glibc

/// One connection with one channel, used by the thread that opened it and by no other.
///
/// Every call into the library is made under the watchdog.
/// Any error leaves the connection unusable: the caller lets it go and opens a new one.
struct BrokerConnection: ~Copyable {
  let settings: BrokerSettings
  private let handle: ConnectionHandle
  private let watch: CallWatch
  private let watchdog: Watchdog
  private let wake: WakeDescriptor
  private let socket: Int32
  private var interpreter = FrameInterpreter()

  /// Connects and logs in; blocks for at most about twice `settings.connectTimeout` (and as long as
  /// the resolver takes). `role` names the connection in the broker's management pages.
  init(
    _ settings: BrokerSettings, at host: BrokerHost, role: String, wake: WakeDescriptor,
    watchdog: Watchdog
  ) throws(AMQPError) {
    let handle = try ConnectionHandle()
    try BrokerSocket.open(handle, to: host, settings: settings)
    let socket = amqp_get_sockfd(handle.state)
    guard let watch = CallWatch(socket: socket) else {
      throw AMQPError(.unreachable, "the process has no file descriptor left")
    }
    var handshakeLimit = settings.connectTimeout.timeValue
    var callLimit = settings.callTimeout.timeValue
    amqp_set_handshake_timeout(handle.state, &handshakeLimit)
    amqp_set_rpc_timeout(handle.state, &callLimit)
    watchdog.add(watch)
    // The library's own limit should come first: it says better what happened.
    watch.arm(until: Monotonic.after(settings.connectTimeout + .seconds(1)))
    let reply = BrokerSocket.login(handle, settings: settings, role: role)
    watch.disarm()
    do {
      try ReplyErrors.checkLogin(reply, settings: settings)
    } catch {
      watchdog.remove(watch)
      throw error
    }
    self.settings = settings
    self.handle = handle
    self.watch = watch
    self.watchdog = watchdog
    self.wake = wake
    self.socket = socket
  }

  deinit { watchdog.remove(watch) }

  /// True while a message is half received.
  var isMidContent: Bool { interpreter.isMidContent }

  /// What the broker says about itself: product and version, empty when it does not say.
  var serverProperties: HeaderFields {
    guard let table = amqp_get_server_properties(handle.state) else { return HeaderFields() }
    return HeaderFields(table.pointee)
  }

  // MARK: Calls

  /// Runs `body`, which calls the library once, and has the connection cut when it takes longer
  /// than the call limit plus `extra`.
  borrowing func call<Result>(
    extra: Duration = .zero, _ body: (amqp_connection_state_t) -> Result
  ) -> Result {
    watch.arm(until: Monotonic.after(settings.callTimeout + extra))
    defer { watch.disarm() }
    return body(handle.state)
  }

  /// Throws for a negative status of a call that was `doing` something.
  borrowing func check(status: Int32, doing: String) throws(AMQPError) {
    guard status < 0 else { return }
    throw lateness(doing: doing) ?? ReplyErrors.error(status: status, doing: doing)
  }

  /// Makes a call that waits for the broker's answer, and throws unless that is the expected one.
  borrowing func request(
    doing: String, _ body: (amqp_connection_state_t) -> Void
  ) throws(AMQPError) {
    let reply = call { state in
      body(state)
      return amqp_get_rpc_reply(state)
    }
    if reply.reply_type != AMQP_RESPONSE_NORMAL, let late = lateness(doing: doing) { throw late }
    try ReplyErrors.check(reply, doing: doing)
  }

  private borrowing func lateness(doing: String) -> AMQPError? {
    guard watch.hasExpired else { return nil }
    return AMQPError(.timeout, "\(doing): no progress within \(settings.callTimeout), line cut")
  }

  // MARK: Events

  /// The next thing that happens, at the latest at `deadline` (`Monotonic`), which may be past: then
  /// only what is here already is looked at. Sends heartbeats while it waits.
  ///
  /// The socket is polled only after the library has said that it holds no frame: frames may be
  /// queued or half decoded inside it, and TLS records read but not yet taken.
  mutating func nextEvent(until deadline: UInt64) throws(AMQPError) -> BrokerEvent {
    // rabbitmq-c sends heartbeats only from within a read (#418).
    let heartbeat = UInt64(max(1, settings.heartbeatSeconds)) * 1_000_000_000 / 4
    while true {
      if let event = try readEvent() { return event }
      let now = Monotonic.now
      guard now < deadline else { return .idle }
      if wake.take() { return .woken }
      wake.wait(socket: socket, nanoseconds: min(deadline - now, heartbeat))
    }
  }

  /// The first event among the frames that are here; nil when they are used up.
  private mutating func readEvent() throws(AMQPError) -> BrokerEvent? {
    while true {
      var frame = amqp_frame_t()
      var noWait = timeval()
      let status = call { amqp_simple_wait_frame_noblock($0, &frame, &noWait) }
      if status == AMQP_STATUS_TIMEOUT.rawValue { return nil }
      // RabbitMQ passes header bytes on that this library refuses (a property flag word that says
      // that another one follows, very deep tables).
      if status == AMQP_STATUS_BAD_AMQP_DATA.rawValue, let delivery = interpreter.awaitedDelivery {
        return .unreadable(tag: delivery.tag, redelivered: delivery.redelivered)
      }
      try check(status: status, doing: "reading")
      // Without this the library keeps every frame it ever read (#341, #211). Not the unconditional
      // form, which aborts the process in the middle of a frame.
      defer { amqp_maybe_release_buffers(handle.state) }
      if let event = try interpreter.event(of: frame) { return event }
    }
  }

  // MARK: The end

  /// Says goodbye and waits up to `limit` for the answer, dropping what else arrives. Not
  /// `amqp_connection_close`, which would keep all of that in memory (its RPC queues foreign
  /// frames) and, on a dead line, wait for the whole RPC timeout (#380).
  ///
  /// A line on which the library can read no more is emptied all the same: closing a socket with
  /// unread bytes resets it, and what was written last (an acknowledgement) might not arrive.
  consuming func close(within limit: Duration) {
    var close = amqp_connection_close_t()
    close.reply_code = 200
    let deadline = Monotonic.after(limit)
    let state = handle.state
    watch.arm(until: deadline)
    defer { watch.disarm() }
    guard amqp_send_method(state, 0, AMQP_CONNECTION_CLOSE_METHOD, &close) == 0 else { return }
    while Monotonic.now < deadline {
      var frame = amqp_frame_t()
      var left = Duration.nanoseconds(Int64(deadline - min(deadline, Monotonic.now))).timeValue
      guard amqp_simple_wait_frame_noblock(state, &frame, &left) == 0 else {
        return drain(until: deadline)
      }
      let isAnswer =
        Int32(frame.frame_type) == AMQP_FRAME_METHOD && frame.channel == 0
        && frame.payload.method.id == AMQP_CONNECTION_CLOSE_OK_METHOD
      amqp_maybe_release_buffers(state)
      if isAnswer { return }
    }
  }

  private borrowing func drain(until deadline: UInt64) {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    while Monotonic.now < deadline {
      let left = Int32(clamping: (deadline - min(deadline, Monotonic.now)) / 1_000_000 + 1)
      var waiting = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
      guard poll(&waiting, 1, left) > 0, recv(socket, &bytes, bytes.count, Int32(MSG_DONTWAIT)) > 0
      else { return }
    }
  }

  /// Answers the broker's `connection.close`, so that its log shows an orderly end.
  consuming func acknowledgeClose() {
    var answer = amqp_connection_close_ok_t()
    _ = call { amqp_send_method($0, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &answer) }
  }
}
