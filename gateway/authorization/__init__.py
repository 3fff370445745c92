"""The flows of the embedded authorization server (FAPI 2.0 Security Profile): who asks, what is granted, when it ends."""
