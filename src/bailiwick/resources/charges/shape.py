"""What a charge looks like to clients; it is shown with its payment, which declares it. Pure."""

from bailiwick.resources.payments.shape import Charge

SHAPE = Charge
