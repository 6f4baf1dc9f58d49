"""Which job runs on which nodes, when: pure logic over the engine, and the records of it."""
