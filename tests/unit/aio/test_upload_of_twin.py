"""The tests of staging, on the asynchronous twin."""

from twin_face import on_twin

LEFT_OUT = {
    "test_directories_come_before_files_and_parents_before_children": "the newer client writes "
    "slashes as %2F in a path, which the service reads alike",
    "test_an_unchanged_file_costs_a_listing_and_the_index": "the newer client names what a listing "
    "shall tell in other letters",
}
globals().update(on_twin("unit.staging.test_upload", left_out=LEFT_OUT))
