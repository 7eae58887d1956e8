"""Sharing a farmer's land-rights and subsidy data with a lending partner, under the farmer's consent."""
