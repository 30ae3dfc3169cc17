"""What goes of a file once the payer is erased whose dispute it is evidence of."""

from bailiwick.resources.files.commands import erase_file

ERASES = {"file": erase_file}
