"""Third parties that are judged by name: what there is, and how it fares."""
