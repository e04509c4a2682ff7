"""The simulated venue, as a pure state machine: (state, moment, command) → (state, reports).

`step` is the door; `state` what the venue remembers; `moments` what it is told of the market;
`admission` what it refuses; `tape` and `matching` how orders become fills; `path` how a bar is walked;
`funding` what positions pay; `next_event` where the next thing happens. Nothing here keeps time,
reads a file or knows who asks.
"""
