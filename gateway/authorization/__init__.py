"""The flows of the embedded authorization server (FAPI 2.0): who asks, what is granted, when it ends."""
